package peer

import (
	"fmt"
	"net"
)

// hostPort is an address for a configuration that has the two apart.
type hostPort struct{ Host, Port string }

func splitAll(addresses ...string) ([]hostPort, error) {
	var split []hostPort
	for _, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("configure: %w", err)
		}
		split = append(split, hostPort{host, port})
	}
	return split, nil
}
