package moduleservice

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/penguintechinc/marchproxy-alb/config"
)

// errUnchanged ends an update of the overlay that asks for what is so already.
var errUnchanged = errors.New("nothing to change")

// unknownRoute refuses a route_name and lists valid ones.
func unknownRoute(s *config.Snapshot, name string) error {
	names := make(map[string]bool)
	for _, r := range routes(s) {
		names[r.Name] = true
	}
	valid := "there are no routes"
	if len(names) > 0 {
		valid = "want " + oneOf(slices.Sorted(maps.Keys(names)))
	}
	if name == "" {
		return fmt.Errorf("route_name: is empty, %s", valid)
	}
	return fmt.Errorf("route_name: there is no route %s, %s", quote(name), valid)
}

// oneOf lists some of the valid names.
func oneOf(names []string) string {
	if len(names) == 0 {
		return "none, as there are none yet"
	}
	listed := make([]string, 0, maxListed)
	for _, name := range names[:min(len(names), maxListed)] {
		listed = append(listed, quote(name))
	}
	list := strings.Join(listed, ", ")
	if more := len(names) - len(listed); more > 0 {
		list += fmt.Sprintf(" or one of %d more", more)
	}
	return list
}

// quote quotes a name, a long one in part.
func quote(name string) string {
	if len(name) > maxQuoted {
		return strconv.Quote(name[:maxQuoted]) + "..."
	}
	return strconv.Quote(name)
}

// validText is s as a string of protobuf may be: what a file says in an error need not be UTF-8.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
