package proc

import (
	"os"
	"slices"
	"strconv"
)

// stateZombie marks a process that has ended and waits to be reaped: it runs no
// code and holds no memory.
const stateZombie = 'Z'

// Processes lists every process that is visible and readable, zombies
// included. A process that ends while the list is made is left out.
func (f FS) Processes() ([]Stat, error) {
	entries, err := os.ReadDir(f.root())
	if err != nil {
		return nil, err
	}
	var all []Stat
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := f.Stat(pid); err == nil {
			all = append(all, s)
		}
	}
	return all, nil
}

// Tree returns the process pid and all its descendants, ascending by id,
// zombies left out. It is empty when pid does not run.
func (f FS) Tree(pid int) ([]int, error) {
	all, err := f.Processes()
	if err != nil {
		return nil, err
	}
	return descendants(all, pid), nil
}

func descendants(all []Stat, root int) []int {
	children := make(map[int][]int, len(all))
	alive := make(map[int]bool, len(all))
	for _, s := range all {
		if s.State != stateZombie {
			children[s.PPID] = append(children[s.PPID], s.PID)
			alive[s.PID] = true
		}
	}
	if !alive[root] {
		return nil
	}
	tree := []int{root}
	// Every process has one parent and is alive once, so the walk is bounded by
	// the length of all, except for a snapshot torn by a reused id: hence the check.
	for i := 0; i < len(tree); i++ {
		for _, c := range children[tree[i]] {
			if !slices.Contains(tree, c) {
				tree = append(tree, c)
			}
		}
	}
	slices.Sort(tree)
	return tree
}

// Group returns the living processes of process group pgrp, zombies left out.
func (f FS) Group(pgrp int) ([]int, error) {
	all, err := f.Processes()
	if err != nil {
		return nil, err
	}
	var group []int
	for _, s := range all {
		if s.PGRP == pgrp && s.State != stateZombie {
			group = append(group, s.PID)
		}
	}
	return group, nil
}
