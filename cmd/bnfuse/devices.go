package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bnfuse/bnfuse"
)

func (a *app) devicesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the engines found, and say why one is missing",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			list, missing := bnfuse.Devices()
			print := printDevices
			if asJSON {
				print = devicesJSON
			}
			_, err := a.stdout.Write(print(list, missing))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printDevices writes a line for each device, and one for CUDA where it is missing.
func printDevices(list []bnfuse.DeviceInfo, missing error) []byte {
	var b bytes.Buffer
	for _, d := range list {
		facts := []string{d.Model}
		if d.ComputeCapability != "" {
			facts = append(facts, "compute capability "+d.ComputeCapability)
		}
		if d.MemoryBytes > 0 {
			facts = append(facts, inBytes(int64(d.MemoryBytes)))
		}
		if d.Driver != "" {
			facts = append(facts, "driver for CUDA "+d.Driver)
		}
		fmt.Fprintf(&b, "✓ %-7s %s\n", d.Name, strings.Join(facts, ", "))
	}
	if missing != nil {
		fmt.Fprintf(&b, "✗ %-7s %s\n", "cuda", reason(missing))
	}
	return b.Bytes()
}

func devicesJSON(list []bnfuse.DeviceInfo, missing error) []byte {
	var report struct {
		Devices []bnfuse.DeviceInfo `json:"devices"`
		Missing map[string]string   `json:"missing"` // the reason, by engine
	}
	report.Devices, report.Missing = list, map[string]string{}
	if missing != nil {
		report.Missing["cuda"] = reason(missing)
	}
	b, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		panic(err) // strings and numbers have a JSON
	}
	return append(b, '\n')
}

// reason is an error without the name of the package that says it.
func reason(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "bnfuse: "), "cuda: ")
}
