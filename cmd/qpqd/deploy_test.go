package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const deployed = "../../deploy"

func TestDeployedConfigurationsAreValid(t *testing.T) {
	for name, environment := range map[string]map[string]string{
		"qpqd.yaml":  {},
		"nodes.yaml": composed(t, "node-a").Environment,
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range environment {
				t.Setenv(name, value)
			}
			if code, _, stderr := qpqd(t, "config", "check", "--config", filepath.Join(deployed, name)); code != exitDone {
				t.Errorf("exit %d: %s", code, stderr)
			}
		})
	}
}

// service is what is looked at of one in compose.yaml.
type service struct {
	Command     []string
	Environment map[string]string
	Volumes     []string
	Ports       []string
}

func composed(t *testing.T, name string) service {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(deployed, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Services map[string]service }
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	s, there := file.Services[name]
	if !there {
		t.Fatalf("no service %s", name)
	}
	return s
}

// What the services read from beside the file is there, and nothing of theirs can
// be reached from other machines.
func TestComposedServicesFindTheirFilesAndKeepToLoopback(t *testing.T) {
	for _, name := range []string{"node-a", "node-b", "redis", "limits", "proxy"} {
		s := composed(t, name)
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			if _, err := os.Stat(filepath.Join(deployed, from)); strings.HasPrefix(from, ".") && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s publishes %s", name, port)
			}
		}
	}
}

func TestServiceUnitStartsWithTheConfigurationBesideIt(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join(deployed, "qpqd.service"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(unit), "\nExecStart=/usr/local/bin/qpqd ")
	line, _, _ := strings.Cut(after, "\n")
	if want := "serve --config /etc/qpqd/qpqd.yaml"; !found || line != want {
		t.Errorf("it runs qpqd %s", line)
	}
}
