package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the release, set by the linker: -ldflags "-X main.version=v1.2.3".
var version = "dev"

// envoyAPI is the Envoy release whose API and defaults are followed.
const envoyAPI = "1.38"

// revision returns the commit that the binary was built from, as far as the build knew.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}

// versionLine is what --version prints.
func versionLine() string {
	return fmt.Sprintf("proxy-alb %s (%s, %s, Envoy API %s)", version, revision(), runtime.Version(), envoyAPI)
}

// serverVersion is the version in the form of Envoy's /server_info: revision, version, state of the tree, build type and
// TLS library.
func serverVersion() string {
	return fmt.Sprintf("%s/%s/Clean/RELEASE/crypto-tls", revision(), version)
}
