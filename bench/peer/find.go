package peer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sbin are the directories that hold servers but are often not on a user's PATH.
var sbin = [...]string{"/usr/sbin", "/usr/local/sbin", "/sbin"}

// Find returns the path of the kind's program: path when it is given, otherwise
// the first found on the PATH or in one of the sbin directories.
func (k Kind) Find(path string) (string, error) {
	if path != "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		if err := executable(abs); err != nil {
			return "", fmt.Errorf("%s: %w", k.Name, err)
		}
		return abs, nil
	}
	if len(k.Programs) == 0 {
		return "", fmt.Errorf("%s: takes part where its path is given: --peer %s=path", k.Name, k.Name)
	}
	program, err := FindProgram(k.Programs...)
	if err != nil {
		return "", fmt.Errorf("%s: %w", k.Name, err)
	}
	return program, nil
}

// FindProgram returns the path of the first program of these names that is on the PATH
// or in one of the sbin directories.
func FindProgram(names ...string) (string, error) {
	for _, name := range names {
		if p, err := exec.LookPath(name); err == nil {
			return filepath.Abs(p)
		}
		for _, dir := range sbin {
			if p := filepath.Join(dir, name); executable(p) == nil {
				return p, nil
			}
		}
	}
	return "", fmt.Errorf("no %s on the PATH or in %s", strings.Join(names, " or "), strings.Join(sbin[:], ", "))
}

// readable fails unless there is a file at the path.
func readable(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	return err
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file", path)
	}
	return nil
}
