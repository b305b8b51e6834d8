package load

import "time"

// Probe makes one request on a connection of its own and returns the status and
// the body of the response. It fails within timeout.
func Probe(address, path string, timeout time.Duration) (status int, body []byte, err error) {
	c := newConn(address, source(0))
	defer c.close()
	deadline := time.Now().Add(timeout)
	if err := c.open(deadline); err != nil {
		return 0, nil, &stepError{stepConnect, err}
	}
	if err := c.tcp.SetDeadline(deadline); err != nil {
		return 0, nil, &stepError{stepConnect, err}
	}
	config := Config{Address: address, Path: path, NewConnections: true}
	if _, err := c.tcp.Write(appendRequest(nil, config)); err != nil {
		return 0, nil, &stepError{stepWrite, err}
	}
	resp, err := readResponse(c.reader, &body)
	if err != nil {
		return 0, nil, &stepError{stepRead, err}
	}
	return resp.status, body, nil
}
