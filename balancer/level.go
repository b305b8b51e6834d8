package balancer

import "math/rand/v2"

// levels is the parts of a set that take traffic, each with its share of it.
type levels struct {
	list []level
	// byPercent is, for each percent of the load, the index in list of who takes it. There are at most 100, because
	// none takes less than a percent. It is nil where there is one level.
	byPercent *[fullLoad]uint8
}

// level is the hosts of one health at one priority, or all of a priority in panic.
type level struct {
	schedules []schedule
	// localities chooses among schedules. It is nil where there is one schedule.
	localities *edf
	note       Note
	zones      *zoneRouting // under zone aware routing: the schedules are of all hosts and then of each locality
}

// newLevels returns the parts of set that take traffic, healthy hosts before degraded ones.
func (p *Picker) newLevels(set *Set, policy Policy) *levels {
	l := &levels{}
	var shares []uint8
	for pr, c := range set.loaded() {
		shares = append(shares, c.load)
		switch {
		case pr.panic:
			l.list = append(l.list, level{schedules: []schedule{p.newPanic(pr.hosts, policy)}, note: Panic})
		case set.zonesOf(pr, c) != nil:
			l.list = append(l.list, p.newZoneLevel(c.hosts, set.zones, policy.Kind))
		default:
			l.list = append(l.list, p.newLevel(c.hosts, c.localities, policy.Kind))
		}
	}
	if len(l.list) > 1 {
		l.byPercent = spread(shares)
	}
	return l
}

// newLevel returns the level of hosts, which localities splits unless it is empty.
func (p *Picker) newLevel(hosts []*Host, localities []locality, kind Kind) level {
	switch len(localities) {
	case 0:
		return level{schedules: []schedule{p.newSchedule(hosts, kind)}}
	case 1:
		return level{schedules: []schedule{p.newSchedule(localities[0].hosts, kind)}}
	}
	l := level{schedules: make([]schedule, len(localities))}
	weights := make([]uint32, len(localities))
	for i := range localities {
		l.schedules[i] = p.newSchedule(localities[i].hosts, kind)
		weights[i] = localities[i].weight
	}
	l.localities = newEDF(weights, p.rnd.Uint64())
	return l
}

// spread returns the table of levels with these shares, which add up to 100.
func spread(shares []uint8) *[fullLoad]uint8 {
	table := new([fullLoad]uint8)
	percent := 0
	for i, share := range shares {
		for range share {
			table[percent] = uint8(i)
			percent++
		}
	}
	return table
}

// choose returns the level of the next pick.
func (l *levels) choose(rnd *rand.PCG) *level {
	if l.byPercent == nil {
		return &l.list[0]
	}
	return &l.list[l.byPercent[below(rnd, fullLoad)]]
}

// choose returns the schedule of the next pick.
func (l *level) choose() *schedule {
	if l.localities == nil {
		return &l.schedules[0]
	}
	return &l.schedules[l.localities.pick()]
}
