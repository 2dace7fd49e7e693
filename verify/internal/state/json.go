package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// object calls visit with the members of a JSON object in their order. Package json itself would let the
// last of two members with one name win, and readers do not agree on that.
func object(text []byte, visit func(key string, value json.RawMessage) error) error {
	if !utf8.Valid(text) || !json.Valid(text) {
		return errors.New("not valid JSON")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key := token.(string) // a member's name is nothing else
		if seen[key] {
			return fmt.Errorf("two members are named %q", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := visit(key, value); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
	}
	return nil
}

// text is a value that must be a string; package json would take null for one.
func text(value json.RawMessage) (string, error) {
	var s string
	if len(value) == 0 || value[0] != '"' {
		return "", fmt.Errorf("%.40s is no text", value)
	}
	return s, json.Unmarshal(value, &s)
}
