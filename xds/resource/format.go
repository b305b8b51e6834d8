package resource

import (
	"strconv"
	"strings"
)

// argument tells what may follow the name of a command operator.
type argument uint8

const (
	noArgument    argument = iota
	fieldArgument          // "(NAME?OTHER):LENGTH", where "?OTHER" and ":LENGTH" may be missing
)

// maxOperatorLength bounds the LENGTH of an operator: no field is longer than the largest head that can be allowed, which
// is 8192 KiB (max_request_headers_kb).
const maxOperatorLength = 8192 << 10

// operators holds the command operators that header values may use; the data plane has a value for each.
var operators = map[string]argument{
	"DOWNSTREAM_REMOTE_ADDRESS":                     noArgument,
	"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":        noArgument,
	"DOWNSTREAM_LOCAL_ADDRESS":                      noArgument,
	"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":         noArgument,
	"DOWNSTREAM_REMOTE_PORT":                        noArgument,
	"DOWNSTREAM_LOCAL_PORT":                         noArgument,
	"DOWNSTREAM_DIRECT_REMOTE_ADDRESS":              noArgument,
	"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": noArgument,
	"DOWNSTREAM_DIRECT_REMOTE_PORT":                 noArgument,
	"UPSTREAM_HOST":                                 noArgument,
	"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":          noArgument,
	"UPSTREAM_REMOTE_PORT":                          noArgument,
	"RESPONSE_CODE":                                 noArgument,
	"VIRTUAL_HOST_NAME":                             noArgument,
	"PROTOCOL":                                      noArgument,
	"DOWNSTREAM_TLS_VERSION":                        noArgument,
	"DOWNSTREAM_TLS_CIPHER":                         noArgument,
	"REQUESTED_SERVER_NAME":                         noArgument,
	"HOSTNAME":                                      noArgument,
	"VIRTUAL_CLUSTER_NAME":                          noArgument,
	"ROUTE_NAME":                                    noArgument,
	"UPSTREAM_CLUSTER":                              noArgument,
	"UPSTREAM_REMOTE_ADDRESS":                       noArgument,
	"REQ":                                           fieldArgument,
	"RESP":                                          fieldArgument,
}

// format checks the command operators in a header value: %NAME%, %NAME(ARGUMENT):LENGTH%, and %% for a percent sign.
func (a *at) format(value string) {
	rest := value
	for {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			return
		}
		if strings.HasPrefix(after, "%") {
			rest = after[1:]
			continue
		}
		operator, after, found := strings.Cut(after, "%")
		if !found {
			a.errorf("%q has a %% without an end; write %%%% for a percent sign", value)
			return
		}
		a.operator(operator)
		rest = after
	}
}

// operator checks what is between two percent signs.
func (a *at) operator(text string) {
	end := strings.IndexAny(text, "(:")
	if end < 0 {
		end = len(text)
	}
	kind, known := operators[text[:end]]
	rest := text[end:]
	switch {
	case !known:
		a.errorf("%%%s%% is not supported", text)
	case kind == noArgument && rest != "":
		a.errorf("%%%s%%: %s takes no argument", text, text[:end])
	case kind == fieldArgument && !validFieldArgument(rest):
		a.errorf("%%%s%% must be like %%%s(X?Y):Z%% with field names X and Y and a length Z", text, text[:end])
	}
}

// validFieldArgument reports whether s is "(NAME)", "(NAME?OTHER)" or one of them and ":LENGTH".
func validFieldArgument(s string) bool {
	inside, length, closed := strings.Cut(s, ")")
	if !closed || !strings.HasPrefix(inside, "(") {
		return false
	}
	if length != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(length, ":"))
		if length[0] != ':' || err != nil || n < 1 || n > maxOperatorLength {
			return false
		}
	}
	name, other, alternative := strings.Cut(inside[1:], "?")
	return isToken(strings.TrimPrefix(name, ":")) && (!alternative || isToken(strings.TrimPrefix(other, ":")))
}
