package controlplane

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Config is what the control plane is asked to configure. Its JSON is the one MarchProxy's xDS server takes.
type Config struct {
	// Version is the caller's own name for this configuration. It is only echoed: xDS versions are the server's.
	Version      Version       `json:"version"`
	Services     []Service     `json:"services"`
	Routes       []Route       `json:"routes"`
	Certificates []Certificate `json:"certificates"`
}

// Service is one upstream cluster.
type Service struct {
	Name string `json:"name"`
	// Hosts are IP addresses or DNS names, without a port. Names are resolved by the proxy.
	Hosts []string `json:"hosts"`
	Port  int      `json:"port"`
	// Protocol is http, https, http2, grpc, websocket or empty for http. https implies TLSEnabled, http2 and grpc imply HTTP2Enabled, websocket implies
	// WebSocketUpgrade.
	Protocol   string `json:"protocol"`
	TLSEnabled bool   `json:"tls_enabled"`
	// TLSCertName names the certificate whose ca_cert the service is verified against.
	TLSCertName string `json:"tls_cert_name"`
	// TLSVerify asks for the service's certificate to be verified: against TLSCertName's CA, or the system's when that is empty.
	TLSVerify bool `json:"tls_verify"`
	// HealthCheckPath turns active health checking on when not empty.
	HealthCheckPath string `json:"health_check_path"`
	// TimeoutSeconds is the connect timeout. Zero means 5 s.
	TimeoutSeconds   int  `json:"timeout_seconds"`
	HTTP2Enabled     bool `json:"http2_enabled"`
	WebSocketUpgrade bool `json:"websocket_upgrade"`
}

func (s *Service) usesTLS() bool { return s.TLSEnabled || s.Protocol == "https" }
func (s *Service) usesHTTP2() bool {
	return s.HTTP2Enabled || s.Protocol == "http2" || s.Protocol == "grpc"
}
func (s *Service) usesWebSocket() bool { return s.WebSocketUpgrade || s.Protocol == "websocket" }

// Route sends the requests of some hosts under a path prefix to a service.
type Route struct {
	Name        string `json:"name"`
	Prefix      string `json:"prefix"`
	ClusterName string `json:"cluster_name"`
	// Hosts are names, optionally with a port, or patterns that begin or end with "*". None means every host.
	Hosts []string `json:"hosts"`
	// Timeout is in seconds. Zero means 30 s.
	Timeout int `json:"timeout"`
}

// Certificate holds PEM. With a private key it is served by the listener; with a CA it can verify services (see Service.TLSCertName) and clients.
type Certificate struct {
	Name       string `json:"name"`
	CertChain  string `json:"cert_chain"`
	PrivateKey string `json:"private_key"`
	CACert     string `json:"ca_cert"`
	// RequireClient makes the listener require a client certificate that CACert's authorities signed.
	RequireClient bool `json:"require_client"`
}

// Version is a string that JSON may also give as a number.
type Version string

// UnmarshalJSON takes a JSON string, number or null.
func (v *Version) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	switch {
	case string(data) == "null":
		return nil
	case data[0] == '"':
		return json.Unmarshal(data, (*string)(v))
	default:
		var n json.Number
		if err := json.Unmarshal(data, &n); err != nil {
			return fmt.Errorf("%s is neither a string nor a number", data)
		}
		*v = Version(n)
		return nil
	}
}

// redactedKey stands for a private key where a configuration is shown.
const redactedKey = "[redacted]"

// redacted returns c without private keys, sharing everything else with c.
func (c Config) redacted() Config {
	if len(c.Certificates) == 0 {
		return c
	}
	certificates := make([]Certificate, len(c.Certificates))
	for i, cert := range c.Certificates {
		if cert.PrivateKey != "" {
			cert.PrivateKey = redactedKey
		}
		certificates[i] = cert
	}
	c.Certificates = certificates
	return c
}

// FieldError is a configuration that is not valid, and where.
type FieldError struct {
	// Path names the field as JSON has it, such as services[1].port. Empty means the document as a whole.
	Path string
	// Problem says what is wrong and what would be valid.
	Problem string
}

func (e *FieldError) Error() string {
	if e.Path == "" {
		return e.Problem
	}
	return e.Path + ": " + e.Problem
}

func fieldErrorf(path, format string, args ...any) *FieldError {
	return &FieldError{Path: path, Problem: fmt.Sprintf(format, args...)}
}
