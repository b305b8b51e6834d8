package xds

import (
	"time"

	"go.uber.org/zap"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// commit brings the warming parents names into force together with the change base, which may be nil: as one change of the
// store when it takes it. When it does not, base is made alone and the parents in ever smaller groups, so that only those
// are refused that cannot run. The error is that of base, and then nothing was changed; refused has the parents' own.
func (f *family[P, C]) commit(base func(*config.Delta), names []string, now time.Time) (refused map[string]error, err error) {
	if base == nil && len(names) == 0 {
		return nil, nil
	}
	refused = make(map[string]error)
	err = f.apply(base, names)
	switch {
	case err == nil:
	case base == nil:
		f.split(names, err, refused)
	default:
		if len(names) > 0 {
			err = f.apply(base, nil)
		}
		if err != nil {
			return nil, err
		}
		f.install(names, refused)
	}
	for _, name := range names {
		f.parents[name].settle(refused[name], now)
		if refused[name] != nil {
			f.log.Warn("resource cannot be put into force", zap.String("kind", f.parent.noun), zap.String("name", name),
				zap.Error(refused[name]))
		}
	}
	return refused, nil
}

func (f *family[P, C]) apply(base func(*config.Delta), names []string) error {
	var d config.Delta
	if base != nil {
		base(&d)
	}
	if len(names) > 0 {
		set := make(map[string]P, len(names))
		for _, name := range names {
			set[name] = f.parents[name].warming.value
		}
		f.parent.changes(&d).Set = set
	}
	return f.store.Apply(config.SourceXDS, d)
}

// install brings names into force, in parts where the store refuses the whole.
func (f *family[P, C]) install(names []string, refused map[string]error) {
	if err := f.apply(nil, names); err != nil {
		f.split(names, err, refused)
	}
}

// split is install after the store refused names with err. With n names of which k are bad it makes at most about
// 2*k*log2(n) attempts.
func (f *family[P, C]) split(names []string, err error, refused map[string]error) {
	if len(names) == 1 {
		refused[names[0]] = err
		return
	}
	half := len(names) / 2
	f.install(names[:half], refused)
	f.install(names[half:], refused)
}

// settle ends the warming of p: into force, or refused with err.
func (p *parent[P]) settle(err error, now time.Time) {
	w := p.warming
	p.warming = nil
	if err != nil {
		p.failure = &failure{packed: w.packed, version: w.version, when: now, why: err.Error()}
		return
	}
	w.updated = now
	p.active, p.failure = w, nil
}
