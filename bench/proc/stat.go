// Package proc reads what the load lab needs to know of other processes from
// Linux's /proc: who descends from whom, how much CPU time each has used and
// how much memory each holds. Field numbers and units follow proc(5).
package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// TickDuration is the unit of utime and stime in /proc/<pid>/stat. The kernel
// scales both to USER_HZ, which is 100 on every architecture Go supports,
// whatever CONFIG_HZ is (proc(5), sysconf(_SC_CLK_TCK)).
const TickDuration = 10 * time.Millisecond

// FS is a mounted proc file system. The zero value reads /proc.
type FS struct {
	// Root is the mount point; "" means /proc. Tests point it at fixtures.
	Root string
}

// Stat is the part of /proc/<pid>/stat that the lab uses.
type Stat struct {
	PID   int
	Comm  string // the executable's name, at most 15 bytes, without parentheses
	State byte   // R, S, D, Z, ...: see proc(5)
	PPID  int
	PGRP  int

	// UserTicks and SystemTicks cover all threads of the process, those that
	// have ended included, in units of TickDuration.
	UserTicks   uint64
	SystemTicks uint64
}

// Positions of the fields after the closing parenthesis of comm, counted from 0
// at the state (field 3 of proc(5)).
const (
	fieldState  = 0
	fieldPPID   = 1
	fieldPGRP   = 2
	fieldUTime  = 11
	fieldSTime  = 12
	fieldsAfter = 13
)

// ParseStat reads one /proc/<pid>/stat line. The comm may hold spaces and
// parentheses, so the last ")" of the line ends it.
func ParseStat(line []byte) (Stat, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 1 || end < open {
		return Stat{}, fmt.Errorf("stat line %q: want pid (comm) state and more fields", line)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line[:open])))
	if err != nil {
		return Stat{}, fmt.Errorf("stat line: pid: %w", err)
	}
	fields := bytes.Fields(line[end+1:])
	if len(fields) < fieldsAfter || len(fields[fieldState]) != 1 {
		return Stat{}, fmt.Errorf("stat line of pid %d: %d fields after comm, want at least %d", pid, len(fields), fieldsAfter)
	}
	s := Stat{PID: pid, Comm: string(line[open+1 : end]), State: fields[fieldState][0]}
	if s.PPID, err = strconv.Atoi(string(fields[fieldPPID])); err != nil {
		return Stat{}, fmt.Errorf("stat line of pid %d: ppid: %w", pid, err)
	}
	if s.PGRP, err = strconv.Atoi(string(fields[fieldPGRP])); err != nil {
		return Stat{}, fmt.Errorf("stat line of pid %d: pgrp: %w", pid, err)
	}
	if s.UserTicks, err = strconv.ParseUint(string(fields[fieldUTime]), 10, 64); err != nil {
		return Stat{}, fmt.Errorf("stat line of pid %d: utime: %w", pid, err)
	}
	if s.SystemTicks, err = strconv.ParseUint(string(fields[fieldSTime]), 10, 64); err != nil {
		return Stat{}, fmt.Errorf("stat line of pid %d: stime: %w", pid, err)
	}
	return s, nil
}

// Stat reads /proc/<pid>/stat.
func (f FS) Stat(pid int) (Stat, error) {
	line, err := os.ReadFile(f.path(pid, "stat"))
	if err != nil {
		return Stat{}, err
	}
	return ParseStat(line)
}

func (f FS) path(pid int, elem ...string) string {
	return filepath.Join(append([]string{f.root(), strconv.Itoa(pid)}, elem...)...)
}

func (f FS) root() string {
	if f.Root == "" {
		return "/proc"
	}
	return f.Root
}
