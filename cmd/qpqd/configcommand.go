package main

import (
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configCommand looks at the configuration that serve would run with.
type configCommand struct {
	config

	Check configCheck `cmd:"" help:"Say whether it is valid."`
	Print configPrint `cmd:"" help:"Print it as a configuration file."`
	Doc   configDoc   `cmd:"" help:"Print every setting with its default and meaning, as a Markdown table."`
}

type (
	configCheck struct{}
	configPrint struct{}
	configDoc   struct{}
)

// Run validates and says nothing but "ok".
func (configCheck) Run(grammar *commandLine, std streams) error {
	if err := grammar.Config.validate(); err != nil {
		return usageError{err}
	}
	_, err := fmt.Fprintln(std.out, "ok")
	return err
}

// Run prints a file that --config reads. Passwords in URLs are hidden, and have to be
// filled in again before the file is used; no other setting is a secret.
func (configPrint) Run(grammar *commandLine, app *kong.Kong, std streams) error {
	if err := grammar.Config.validate(); err != nil {
		return usageError{err}
	}
	return printConfig(std.out, app.Model, &grammar.Config.config)
}

func printConfig(w io.Writer, app *kong.Application, c *config) error {
	var file yaml.Node
	file.Kind = yaml.MappingNode
	for _, flag := range configFlags(app) {
		if flag.Name == "config" {
			continue
		}
		value := reflect.ValueOf(c).Elem().FieldByIndex(fieldOf(flag))
		name, node := &yaml.Node{}, &yaml.Node{}
		name.SetString(flag.Name)
		if err := encodeSetting(node, value.Interface()); err != nil {
			return err
		}
		file.Content = append(file.Content, name, node)
	}
	return yaml.NewEncoder(w).Encode(&file)
}

// fieldOf finds the field of config that a flag of serve sets.
func fieldOf(flag *kong.Flag) []int {
	for i, fields := 0, reflect.TypeFor[config](); i < fields.NumField(); i++ {
		if strings.EqualFold(fields.Field(i).Name, strings.ReplaceAll(flag.Name, "-", "")) {
			return fields.Field(i).Index
		}
	}
	panic("no field of config is set by --" + flag.Name) // a programming error
}

// encodeSetting spells a value as a flag would; yaml knows lists, numbers and
// durations by itself.
func encodeSetting(node *yaml.Node, value any) error {
	switch value := value.(type) {
	case slog.Level:
		node.SetString(strings.ToLower(value.String()))
	case encoding.TextMarshaler:
		text, err := value.MarshalText()
		node.Kind, node.Value = yaml.ScalarNode, string(text)
		return err
	default:
		return node.Encode(value)
	}
	return nil
}

// Run prints the table of the documentation.
func (configDoc) Run(app *kong.Kong, std streams) error {
	fmt.Fprintln(std.out, "| flag | environment | default | meaning |\n|---|---|---|---|")
	for _, flag := range configFlags(app.Model) {
		value := flag.Default
		if value == "" {
			value = "none"
		}
		_, err := fmt.Fprintf(std.out, "| `--%s` | `%s` | `%s` | %s |\n", flag.Name, flag.Envs[0], value, escapeCell(flag.Help))
		if err != nil {
			return err
		}
	}
	return nil
}

func escapeCell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
