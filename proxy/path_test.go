package proxy

import (
	"path"
	"strings"
	"testing"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// normalized returns what becomes of a path, and of the query behind it.
func normalized(m *config.HTTPConnectionManager, target string) (string, pathResult) {
	x := &exchange{}
	x.request.Path = []byte(target)
	result := x.normalizePath(m)
	return string(x.request.Path), result
}

func TestNormalizePath(t *testing.T) {
	keep := &config.HTTPConnectionManager{}
	dots := &config.HTTPConnectionManager{NormalizePath: true}
	merge := &config.HTTPConnectionManager{MergeSlashes: true}
	all := &config.HTTPConnectionManager{NormalizePath: true, MergeSlashes: true, EscapedSlashes: config.EscapedSlashesUnescapeAndForward}
	redirect := &config.HTTPConnectionManager{EscapedSlashes: config.EscapedSlashesUnescapeAndRedirect}
	reject := &config.HTTPConnectionManager{EscapedSlashes: config.EscapedSlashesReject}
	for _, test := range []struct {
		m          *config.HTTPConnectionManager
		path, want string
		result     pathResult
	}{
		{keep, "/a/../%2F//b", "/a/../%2F//b", pathKept},
		{dots, "/a/b", "/a/b", pathKept},
		{dots, "/a/../b", "/b", pathChanged},
		{dots, "/a//../b", "/a/b", pathChanged},
		{dots, "/.", "/", pathChanged},
		{dots, "/a/.", "/a/", pathChanged},
		{dots, "/a/..", "/", pathChanged},
		{dots, "/%2E%2e/x", "/x", pathChanged},
		{dots, "/.%2e/x", "/x", pathChanged},
		{dots, "/...", "/...", pathChanged},
		{dots, `/a\..\b`, "/b", pathChanged},
		{dots, "/a%2F..%2Fb", "/a%2F..%2Fb", pathChanged},
		{dots, "/%61%5A%30%2d%2E%5f%7e", "/aZ0-._~", pathChanged},
		{dots, "/%2561/%252e%252e/x", "/%2561/%252e%252e/x", pathChanged},
		{dots, "/%20%22%3B%c3%A9", "/%20%22%3B%c3%A9", pathChanged},
		{dots, "/a/%2e%2E?%61", "/?%61", pathChanged},
		{dots, "/%2%35", "/%2%35", pathRefused},
		{dots, "/%", "/%", pathRefused},
		{dots, "/%4", "/%4", pathRefused},
		{dots, "/%00", "/%00", pathRefused},
		{dots, "/a/../b?c/../d", "/b?c/../d", pathChanged},
		{merge, "//a///b//", "/a/b/", pathChanged},
		{merge, "/a?x=//", "/a?x=//", pathKept},
		{all, "/a%2F%5c..//b", "/a/b", pathChanged},
		{redirect, "/a%2fb?c", "/a/b?c", pathRedirected},
		{redirect, "/a%zz", "/a%zz", pathChanged},
		{reject, "/a%5Cb", "/a%5Cb", pathRefused},
		{reject, "/a?b%2F", "/a?b%2F", pathKept},
	} {
		if got, result := normalized(test.m, test.path); got != test.want || result != test.result {
			t.Errorf("%q became %q (%d), want %q (%d)", test.path, got, result, test.want, test.result)
		}
	}
}

// FuzzNormalizePath holds that a normalised path is one: doing it again changes nothing, and no dot segment is left.
func FuzzNormalizePath(f *testing.F) {
	for _, seed := range []string{"/", "/a/../b", "/%2e%2e/%2F..", `/\..\`, "//./", "/a%2f%2e%2e%2fb?c", "/%25%32%65"} {
		f.Add(seed)
	}
	m := &config.HTTPConnectionManager{NormalizePath: true, MergeSlashes: true, EscapedSlashes: config.EscapedSlashesUnescapeAndForward}
	f.Fuzz(func(t *testing.T, target string) {
		if !strings.HasPrefix(target, "/") {
			return
		}
		once, result := normalized(m, target)
		if result == pathRefused {
			return
		}
		again, result := normalized(m, once)
		if again != once || result == pathRefused {
			t.Fatalf("%q became %q and then %q", target, once, again)
		}
		p, _, _ := strings.Cut(once, "?")
		for segment := range strings.SplitSeq(p, "/") {
			if segment == "." || segment == ".." {
				t.Fatalf("%q became %q", target, once)
			}
		}
		if !strings.ContainsAny(p, "%") && strings.TrimSuffix(path.Clean(p), "/") != strings.TrimSuffix(p, "/") {
			t.Fatalf("%q became %q, which path.Clean makes %q", target, p, path.Clean(p))
		}
	})
}
