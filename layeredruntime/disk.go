package layeredruntime

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// The bounds of a directory of values. It is made by people and small; these keep a wrong path from filling memory.
const (
	maxDiskDepth = 16
	maxDiskFiles = 10_000
	maxDiskValue = 64 << 10 // bytes of a file
)

// directory returns where the values of a disk layer are.
func (l *Loader) directory(d *config.RuntimeDisk) string {
	path := filepath.Join(d.SymlinkRoot, d.Subdirectory)
	if d.AppendServiceCluster {
		path = filepath.Join(path, l.options.ServiceCluster)
	}
	return path
}

// readDisk reads the files below a directory: the path of each with dots is a key, what is in it the value. found is false
// when there is no such directory, which is no error.
func readDisk(path string) (values map[string]string, found bool, err error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return nil, false, nil
	}
	values = make(map[string]string)
	if err := readDirectory(values, path, "", 1); err != nil {
		return nil, true, err
	}
	return values, true, nil
}

func readDirectory(values map[string]string, path, prefix string, depth int) error {
	if depth > maxDiskDepth {
		return fmt.Errorf("%s: directories are nested more than %d deep", path, maxDiskDepth)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		below, key := filepath.Join(path, e.Name()), prefix+e.Name()
		info, err := os.Stat(below) // follows symbolic links, which a mounted volume has for every file
		switch {
		case err != nil:
			return err
		case info.IsDir() && strings.HasPrefix(e.Name(), ".."):
			// What such links of a mounted volume lead to: the same values under other names.
		case info.IsDir():
			err = readDirectory(values, below, key+".", depth+1)
		case info.Mode().IsRegular():
			values[key], err = readValue(below)
		}
		if err != nil {
			return err
		}
		if len(values) > maxDiskFiles {
			return fmt.Errorf("%s: there are more than %d files", path, maxDiskFiles)
		}
	}
	return nil
}

// readValue reads the value in a file. Lines that begin with "#" are comments, for files without a value.
func readValue(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDiskValue+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxDiskValue:
		return "", fmt.Errorf("%s: is larger than %d bytes", path, maxDiskValue)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "#") && strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return strings.TrimRight(strings.Join(lines, ""), " \t\r\n"), nil
}
