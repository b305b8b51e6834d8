package main

// faces are the servers beside traffic: admin, metrics, health and ModuleService.
type faces struct{}

func (f *faces) serve() {}
func (f *faces) close() {}

func (p *process) openFaces() error { return nil }
