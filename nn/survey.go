package nn

import (
	"fmt"
	"reflect"
)

// survey counts how many places of a model hold each module. A module that is held by one place only
// runs where that place says and nowhere else, as far as a model can be seen.
type survey struct {
	uses   map[identity]int
	onPath map[identity]bool
}

// surveyOf looks at the whole model. Errors are a nil child and a module within itself.
func surveyOf(model Module) (*survey, error) {
	s := &survey{uses: map[identity]int{}, onPath: map[identity]bool{}}
	return s, s.visit(model, "")
}

func (s *survey) visit(m Module, path string) error {
	if isNil(m) {
		return fmt.Errorf("module %q: %w", path, ErrNilModule)
	}
	id, ok := identityOf(reflect.ValueOf(m))
	if ok {
		if s.onPath[id] {
			return fmt.Errorf("module %q: %w", path, ErrCycle)
		}
		s.uses[id]++
		if s.uses[id] > 1 {
			return nil // what is inside is held by the same places as before
		}
		s.onPath[id] = true
		defer delete(s.onPath, id)
	}
	for _, c := range slotsOf(m) {
		if err := s.visit(c.Module, join(path, c.Name)); err != nil {
			return err
		}
	}
	return nil
}

// count is how many places hold m.
func (s *survey) count(m Module) int {
	id, ok := identityOf(reflect.ValueOf(m))
	if !ok {
		return 1
	}
	return s.uses[id]
}
