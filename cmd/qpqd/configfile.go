package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// maxConfigFile bounds what is read as a configuration file, in bytes.
const maxConfigFile = 1 << 20

// configFile resolves the flags of a command that has --config from a YAML file:
// one flat map, named as the flags are. A setting that does not exist is an error,
// so that a misspelled limit is not silently no limit. kong-yaml would look for a
// flag below its command's name, and takes any name.
type configFile struct {
	settings map[string]any // static after construction
	known    []*kong.Flag   // of the command; set by Resolve, which kong calls before Validate
}

func loadConfigFile(r io.Reader) (kong.Resolver, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxConfigFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxConfigFile {
		return nil, fmt.Errorf("the configuration file is larger than %d bytes", maxConfigFile)
	}
	f := &configFile{}
	if err := yaml.Unmarshal(data, &f.settings); err != nil {
		return nil, fmt.Errorf("the configuration file is not a YAML map of settings: %w", err)
	}
	return f, nil
}

// Validate implements kong.Resolver.
func (f *configFile) Validate(*kong.Application) error {
	for name, value := range f.settings {
		if name == "config" || !slices.ContainsFunc(f.known, func(k *kong.Flag) bool { return k.Name == name }) {
			return fmt.Errorf("the configuration file sets %q, which is not a setting", name)
		}
		switch value.(type) {
		case nil, string, bool, int, int64, uint64, float64, []any:
		default:
			return fmt.Errorf("the configuration file sets %q to something that is neither a value nor a list", name)
		}
	}
	return nil
}

// Resolve implements kong.Resolver. Kong would let a file win over the
// environment, the other way round than operators expect.
func (f *configFile) Resolve(command *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	f.known = command.Flags()
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	switch value := f.settings[flag.Name].(type) {
	case []any:
		if flag.Name == "issuers" { // which reads its list itself
			text, err := yaml.Marshal(value)
			return string(text), err
		}
		return value, nil
	case nil, string:
		return value, nil
	default:
		return fmt.Sprint(value), nil // a number: our types read text
	}
}

// configFlags lists the settings, in the order of config.
func configFlags(app *kong.Application) []*kong.Flag {
	for _, command := range app.Children {
		if command.Name == "serve" {
			return command.Flags
		}
	}
	return nil
}
