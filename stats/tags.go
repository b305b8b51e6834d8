package stats

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Label is a tag with its value. The name is Envoy's, as "envoy.cluster_name".
type Label struct{ Name, Value string }

// TagRule takes a tag out of names: stats_config.stats_tags.
type TagRule struct {
	name    string
	fixed   bool
	value   string
	pattern tagPattern
}

// tagPattern finds a tag in a full name.
type tagPattern interface {
	// find returns the part of name to remove and the value of the tag.
	find(name string, tokens []token) (start, end int, value string, ok bool)
}

// FixedTag returns the rule that gives every statistic the tag: TagSpecifier.fixed_value.
func FixedTag(name, value string) TagRule {
	return TagRule{name: name, fixed: true, value: value}
}

// RegexTag returns the rule that searches names for pattern: TagSpecifier.regex. The first capture is removed from the
// name; the second is the value of the tag, or the first when there is no second.
func RegexTag(name, pattern string) (TagRule, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return TagRule{}, fmt.Errorf("tag %q: regex %#q is not RE2 syntax, which has no look-around: %w", name, pattern, err)
	}
	if re.NumSubexp() == 0 {
		return TagRule{}, fmt.Errorf("tag %q: regex %#q needs a capture, the part to take out of the name", name, pattern)
	}
	return TagRule{name: name, pattern: &regexPattern{re: re}}, nil
}

// DefaultTag returns the rules that Envoy has for a tag of that name, for a TagSpecifier with a name only.
func DefaultTag(name string) ([]TagRule, error) {
	var rules []TagRule
	for _, r := range defaultTags() {
		if r.name == name {
			rules = append(rules, r)
		}
	}
	if rules == nil {
		return nil, fmt.Errorf("tag %q: there is no default tag of this name; give a regex or a fixed_value", name)
	}
	return rules, nil
}

// regexPattern is a tag found by a regular expression.
type regexPattern struct {
	re *regexp.Regexp
	// head and part, when not empty, are the first token of the names that can match, and what occurs in them: cheaper to
	// look for than re.
	head, part string
	// except is a value that is not a tag.
	except string
}

func (p *regexPattern) find(name string, _ []token) (start, end int, value string, ok bool) {
	if p.part != "" && !strings.Contains(name, p.part) {
		return 0, 0, "", false
	}
	m := p.re.FindStringSubmatchIndex(name)
	if m == nil || m[2] < 0 {
		return 0, 0, "", false
	}
	value = name[m[2]:m[3]]
	if len(m) > 4 && m[4] >= 0 {
		value = name[m[4]:m[5]]
	}
	return m[2], m[3], value, p.except == "" || value != p.except
}

// tokenPattern is a tag found by its place among the dot-separated parts of a name. "*" stands for any part, "$" for the
// part that is the tag, and a final "**" for at least one more part.
type tokenPattern []string

// token is one part of a name.
type token struct {
	text  string
	start int
}

func appendTokens(tokens []token, name string) []token {
	start := 0
	for {
		dot := strings.IndexByte(name[start:], '.')
		if dot < 0 {
			return append(tokens, token{name[start:], start})
		}
		tokens = append(tokens, token{name[start : start+dot], start})
		start += dot + 1
	}
}

func (p tokenPattern) find(name string, tokens []token) (start, end int, value string, ok bool) {
	if len(tokens) < len(p) {
		return 0, 0, "", false
	}
	for i, want := range p {
		switch want {
		case "*", "**":
		case "$":
			// The dot after the tag goes too.
			start, end, value = tokens[i].start, tokens[i].start+len(tokens[i].text)+1, tokens[i].text
		default:
			if tokens[i].text != want {
				return 0, 0, "", false
			}
		}
	}
	return start, end, value, true
}

// extraction takes tags out of names, with the memory it needs for that.
type extraction struct {
	rules  ruleSet
	tokens []token
	cuts   []cut
	labels []Label
	name   []byte
}

// ruleSet is an ordered list of rules, by what names they can match.
type ruleSet struct {
	// byHead are the rules for names with that first token.
	byHead map[string][]TagRule
	// other are the rules for all other names.
	other []TagRule
}

func newRuleSet(rules []TagRule) ruleSet {
	set := ruleSet{byHead: map[string][]TagRule{}}
	for _, r := range rules {
		if head := r.head(); head != "" {
			set.byHead[head] = nil
		} else {
			set.other = append(set.other, r)
		}
	}
	for head := range set.byHead {
		for _, r := range rules {
			if h := r.head(); h == "" || h == head {
				set.byHead[head] = append(set.byHead[head], r)
			}
		}
	}
	return set
}

// head returns the first token of all names that r can match, or "" when there is no such.
func (r *TagRule) head() string {
	switch p := r.pattern.(type) {
	case *regexPattern:
		return p.head
	case tokenPattern:
		if p[0] != "*" && p[0] != "$" {
			return p[0]
		}
	}
	return ""
}

// of returns the rules for names with that first token.
func (s *ruleSet) of(head string) []TagRule {
	if rules, ok := s.byHead[head]; ok {
		return rules
	}
	return s.other
}

// cut is a part of a name that is removed.
type cut struct{ start, end int }

// extract returns name without its tags, and the tags. The results are valid until the next call.
func (x *extraction) extract(name string) (extracted []byte, labels []Label) {
	x.tokens = appendTokens(x.tokens[:0], name)
	x.cuts, x.labels, x.name = x.cuts[:0], x.labels[:0], x.name[:0]
	rules := x.rules.of(x.tokens[0].text)
	for i := range rules {
		r := &rules[i]
		if slices.ContainsFunc(x.labels, func(l Label) bool { return l.Name == r.name }) {
			continue // the first rule for a tag that matches is the one
		}
		if r.fixed {
			x.labels = append(x.labels, Label{r.name, r.value})
			continue
		}
		start, end, value, ok := r.pattern.find(name, x.tokens)
		if !ok {
			continue
		}
		x.labels = append(x.labels, Label{r.name, value})
		x.cuts = append(x.cuts, cut{start, min(end, len(name))})
	}
	slices.SortFunc(x.cuts, func(a, b cut) int { return a.start - b.start })
	kept := 0
	for _, c := range x.cuts {
		if c.start > kept {
			x.name = append(x.name, name[kept:c.start]...)
		}
		kept = max(kept, c.end)
	}
	x.name = append(x.name, name[kept:]...)
	return x.name, x.labels
}
