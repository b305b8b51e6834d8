// Package acceptance holds the tests of the whole proxy: what clients and origins see, attack by attack and feature by
// feature. It has no code of its own.
package acceptance

import (
	"testing"

	"github.com/penguintechinc/marchproxy-alb/internal/harness/process"
)

func TestMain(m *testing.M) { process.Main(m) }
