package tls

import "github.com/penguintechinc/marchproxy-alb/stats"

// Count counts in block, of stats.SSL, how hands were shaken on c, or that they were not for the reason err. network tells
// that the reason is the network below, and not something that the peer said.
func Count(block *stats.Block, c Conn, err error, network bool) {
	if err != nil {
		countFailure(block, err, network)
		return
	}
	peer := c.Peer()
	block.Inc(stats.SSLHandshake)
	if peer.Resumed {
		block.Inc(stats.SSLSessionReused)
	}
	if peer.Certificate == nil {
		block.Inc(stats.SSLNoCertificate)
	}
	for _, name := range []string{"versions." + peer.Version, "ciphers." + peer.CipherSuite, "curves." + peer.Curve} {
		if i, ok := stats.SSLNamed(name); ok {
			block.Inc(i)
		}
	}
}

func countFailure(block *stats.Block, err error, network bool) {
	switch RefusalOf(err) {
	case NotShown:
		block.Inc(stats.SSLFailVerifyNoCert)
	case NotVerified:
		block.Inc(stats.SSLFailVerifyError)
	case WrongName:
		block.Inc(stats.SSLFailVerifySAN)
	case WrongHash:
		block.Inc(stats.SSLFailVerifyCertHash)
	}
	if !network {
		block.Inc(stats.SSLConnectionError)
	}
}
