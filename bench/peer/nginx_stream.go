package peer

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// buildTimeout bounds the question for how a program was built.
const buildTimeout = 5 * time.Second

// noModule is Kind.Module of a kind that has all it knows in its program.
func noModule(string, Traffic) (path, lacks string) { return "", "" }

// nginxModule finds what nginx carries TCP with: a module that is part of the program, or a file that some packages leave to
// others.
func nginxModule(program string, t Traffic) (path, lacks string) {
	if !t.TCP {
		return "", ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	built, err := exec.CommandContext(ctx, program, "-V").CombinedOutput()
	if err != nil {
		return "", fmt.Sprintf("does not say how it was built: %v", err)
	}
	path, lacks = streamModule(string(built))
	if path != "" && readable(path) != nil {
		return "", "has no module for TCP: its package lacks " + path
	}
	return path, lacks
}

// streamModule reads the arguments that nginx was configured with: the path of its module of streams, "" for one that is built in.
func streamModule(built string) (path, lacks string) {
	const modules, dynamic = "--modules-path=", "--with-stream=dynamic"
	dir := ""
	for _, arg := range strings.Fields(built) {
		if value, ok := strings.CutPrefix(arg, modules); ok {
			dir = value
		}
		if arg == "--with-stream" {
			return "", ""
		}
	}
	if !strings.Contains(built, dynamic) || dir == "" {
		return "", "was built without its module for TCP"
	}
	return filepath.Join(dir, "ngx_stream_module.so"), ""
}
