package listener

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// MaxSteered is how many workers connections can be steered to. A block of the steering program per worker runs for every
// new connection, so the cost grows with their number; and with that many workers the hash spreads well enough.
const MaxSteered = 64

// CheckSteering reports why connections cannot be steered to so many workers here, nil when they can. It loads the program
// to find out: that takes CAP_BPF (or CAP_SYS_ADMIN), and Linux 5.5 for maps in shared memory.
func CheckSteering(workers int) error {
	if workers < 2 {
		return errors.New("there is one worker only")
	}
	if workers > MaxSteered {
		return fmt.Errorf("there are %d workers, want at most %d", workers, MaxSteered)
	}
	s, err := loadSteering(workers)
	if errors.Is(err, unix.EPERM) {
		// Before Linux 5.11, memory for BPF is locked memory of the process, and running out of it is EPERM too
		// (bpf_charge_memlock in kernel/bpf/syscall.c). Where that is not the case this changes nothing.
		if rlimit.RemoveMemlock() == nil {
			s, err = loadSteering(workers)
		}
	}
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("the process may not use BPF, which takes CAP_BPF: %w", err)
	}
	if err != nil {
		return err
	}
	s.close()
	return nil
}

// Steer has the kernel give each new connection to the worker that has the fewest open ones of this address, instead of
// hashing it. It must be called before any socket is taken, and does nothing when called again. When it fails the hash stays
// in place: nobody needs to do anything about it. Sockets that others have on the same address are in the same group of the kernel, and get nothing any more. A Unix domain socket
// is not steered: its workers hand connections on.
//
// The kernel holds the program and its maps as long as one of the sockets is open, and the process keeps no descriptor of
// them.
func (s *Sockets) Steer() error {
	if s.steered || s.pipe != nil {
		return nil
	}
	s.steered = true
	steering, err := loadSteering(len(s.fds))
	if err != nil {
		return fmt.Errorf("steer connections to %s: %w", s.address, err)
	}
	defer steering.close()
	shared, err := steering.attach(s.fds)
	if err != nil {
		return fmt.Errorf("steer connections to %s: %w", s.address, err)
	}
	s.loads = make([]*Load, len(s.fds))
	for worker := range s.fds {
		s.loads[worker] = &Load{of: shared, row: shared.row(worker)}
	}
	return nil
}

// steering are the program and its maps, on the way into the kernel.
type steering struct {
	workers int
	loads   *ebpf.Map
	sockets *ebpf.Map
	program *ebpf.Program
}

// loadSteering has the kernel verify the program. Nothing stays when it fails.
func loadSteering(workers int) (_ *steering, err error) {
	s := &steering{workers: workers}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	// One value, so that the program addresses it without looking it up (BPF_PSEUDO_MAP_VALUE).
	s.loads, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "alb_loads", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(loadsSize(workers)), MaxEntries: 1,
		Flags: unix.BPF_F_MMAPABLE,
	})
	if err != nil {
		return nil, fmt.Errorf("create the map of loads: %w", err)
	}
	s.sockets, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "alb_sockets", Type: ebpf.ReusePortSockArray, KeySize: 4, ValueSize: 8, MaxEntries: uint32(workers),
	})
	if err != nil {
		return nil, fmt.Errorf("create the array of sockets: %w", err)
	}
	// Without the log: the program would be verified a second time for it.
	s.program, err = ebpf.NewProgramWithOptions(s.spec(), ebpf.ProgramOptions{LogDisabled: true})
	if err != nil {
		return nil, fmt.Errorf("load the program: %w", err)
	}
	return s, nil
}

func (s *steering) spec() *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{
		Name: "alb_accept", Type: ebpf.SkReuseport, License: "GPL",
		Instructions: steeringProgram(s.workers, s.loads.FD(), s.sockets.FD()),
	}
}

// attach puts the sockets, one per worker, under the program. With SO_ATTACH_REUSEPORT_EBPF on one socket the program
// decides for all of the group, in place of the one before (socket(7)).
func (s *steering) attach(fds []int) (_ *loads, err error) {
	for worker, fd := range fds {
		if err := s.sockets.Put(uint32(worker), uint64(fd)); err != nil {
			return nil, fmt.Errorf("put the socket of worker %d into the array: %w", worker, err)
		}
	}
	shared, err := mapLoads(s.loads.FD(), s.workers)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_EBPF, s.program.FD()); err != nil {
		shared.unmap()
		return nil, fmt.Errorf("setsockopt SO_ATTACH_REUSEPORT_EBPF: %w", err)
	}
	return shared, nil
}

// close closes the descriptors; a program that is attached stays. Those that are nil were never made.
func (s *steering) close() {
	_ = s.program.Close()
	_ = s.sockets.Close()
	_ = s.loads.Close()
}
