package ads

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Type is all that a Client must know of a resource type.
type Type struct {
	// URL is the type URL, "type.googleapis.com/...".
	URL string
	// Wildcard tells that a subscription without names asks for all resources, as LDS and CDS do.
	Wildcard bool
	// Namespaces tells that a name that is asked for stands for every resource whose name has it before the last slash, as a
	// route configuration's name does in VHDS.
	Namespaces bool
	// Take, when not nil, is told how many bytes of resources a response has before they are decoded. It returns what is called
	// when Handle or Refused has returned.
	Take func(bytes int) (taken func())
	// Decode returns the name and the message of a resource, whose type URL is already known to be URL. An error refuses
	// the whole response.
	Decode func(*anypb.Any) (name string, message proto.Message, err error)
	// Handle takes a response in which every resource could be decoded. An error refuses the response, and its text is told
	// to the server. One call is made at a time, from within Run, and no other response is read meanwhile. ctx ends with the
	// stream. The removal of resources that have expired comes as a response of its own, in the version that was accepted last.
	Handle func(ctx context.Context, r Response) error
	// Refused, when not nil, is told why a response was refused that Handle never saw, because of Decode or of the response
	// itself. It is called as Handle is.
	Refused func(ctx context.Context, why error)
}

// Response is a decoded response. It belongs to Handle.
type Response struct {
	Version   string
	Resources []Resource // each name once
	// Incremental tells that Resources are only those that changed, and Removed those that are not there any more, each name once
	// in the two. Otherwise Resources are all that were asked for and are there.
	Incremental bool
	Removed     []string
}

// Resource is one resource of a response.
type Resource struct {
	Name    string
	Version string // that of the response where the resource has none of its own
	Message proto.Message
	// Packed is the resource as it was received, read-only.
	Packed *anypb.Any
}

// Stats are the counters of a subscription under Envoy's names.
type Stats struct {
	UpdateAttempt  uint64
	UpdateSuccess  uint64
	UpdateFailure  uint64 // the stream could not be opened, or ended
	UpdateRejected uint64 // responses refused
	// UpdateTime is when a response was accepted last.
	UpdateTime time.Time
	// Version is VersionHash of VersionText, the version accepted last.
	Version     uint64
	VersionText string
}

// VersionHash is the number under which a version text is shown among the gauges: xxHash64, as in Envoy; 0 for no version.
func VersionHash(version string) uint64 {
	if version == "" {
		return 0
	}
	return xxhash.Sum64String(version)
}

// subscription is the conversation about one type. Client.mu guards it.
type subscription struct {
	Type

	subscribed bool     // ever
	names      []string // sorted
	version    string   // accepted last; outlives streams
	// held has the versions of the resources that are held here, of the incremental variant. It outlives streams. What a refused
	// response changed is not in it: the server tells a new stream again, and that is no work.
	held map[string]string
	// expiry has the end of each resource's time to live, of those that have one. It outlives streams.
	expiry map[string]time.Time
	stats  Stats

	// Of the open stream only.
	nonce      string   // of the last response
	unanswered bool     // that response
	asked      bool     // a request was sent
	told       []string // names that the server knows to be wanted, sorted
	dropped    []string // names that it has to hear are not, sorted
	last       []string // names when the last request was made
	queued     bool     // in Client.queue
	refusal    *statuspb.Status
	refused    string // what was refused last, with wasRefused
	// wasRefused tells that the last response was refused.
	wasRefused bool
}

// worthAsking reports whether a request of s means what it should: a first request without names would ask for all
// resources of the type.
func (s *subscription) worthAsking() bool {
	return s.subscribed && (s.asked || s.Wildcard || len(s.names) > 0)
}

// wants reports whether a resource of this name is asked for.
func (s *subscription) wants(name string) bool {
	_, named := slices.BinarySearch(s.names, s.namespace(name))
	return named || s.Wildcard
}

// streamEnded forgets what belonged to the stream.
func (s *subscription) streamEnded() {
	s.nonce, s.unanswered, s.asked, s.queued = "", false, false, false
	s.told, s.dropped, s.last = nil, nil, nil
	s.refusal, s.refused, s.wasRefused = nil, "", false
}

// request makes the request that is due, the answer to the last response included. An error detail is sent once. ok is false
// when there is nothing to say: what it was queued for may have been taken back since.
func (s *subscription) request(incremental bool) (r request, ok bool) {
	s.queued = false
	if !s.worthAsking() {
		return request{}, false
	}
	r = request{typeURL: s.URL, nonce: s.nonce, refusal: s.refusal}
	ok = !s.asked || s.unanswered
	if incremental {
		r.subscribe, _ = difference(s.told, s.names)
		_, r.unsubscribe = difference(s.dropped, s.names)
		ok = ok || len(r.subscribe)+len(r.unsubscribe) > 0
		if !s.asked {
			r.held = maps.Clone(s.held)
		}
		s.nonce = "" // each response is answered once
	} else {
		r.version, r.names = s.version, s.names
		ok = ok || !slices.Equal(s.last, s.names)
	}
	s.told, s.dropped, s.last = s.names, nil, s.names
	s.refusal, s.asked, s.unanswered = nil, true, false
	return r, ok
}

// rename makes names, sorted, those that are asked for. One that is given up and asked for again before a request could say so
// is asked for anew: what was held of it is gone.
func (s *subscription) rename(names []string) {
	_, gone := difference(s.names, names)
	s.names, s.wasRefused = names, false // what comes again now does so because it is asked for
	for _, name := range gone {
		delete(s.held, name)
		delete(s.expiry, name)
		if s.Namespaces {
			maps.DeleteFunc(s.held, func(held, _ string) bool { return s.namespace(held) == name })
			maps.DeleteFunc(s.expiry, func(held string, _ time.Time) bool { return s.namespace(held) == name })
		}
		if i, told := slices.BinarySearch(s.told, name); told {
			s.told = slices.Concat(s.told[:i], s.told[i+1:])
			s.dropped = append(s.dropped, name)
		}
	}
	slices.Sort(s.dropped)
}

// difference returns what is in one of two sorted lists only.
func difference(before, now []string) (added, gone []string) {
	if len(before) == len(now) && len(now) > 0 && &before[0] == &now[0] {
		return nil, nil // the rule, and there may be 10,000 names
	}
	for _, name := range now {
		if _, found := slices.BinarySearch(before, name); !found {
			added = append(added, name)
		}
	}
	for _, name := range before {
		if _, found := slices.BinarySearch(now, name); !found {
			gone = append(gone, name)
		}
	}
	return added, gone
}

// took moves s to the version of r, and counts it.
func (s *subscription) took(r *Response, now time.Time) {
	s.version, s.wasRefused = r.Version, false
	s.stats.UpdateSuccess++
	s.stats.UpdateTime = now
	s.stats.Version, s.stats.VersionText = VersionHash(r.Version), r.Version
}

// accepted is took for a response of a stream, whose answer is an attempt to get another.
func (s *subscription) accepted(r *Response, now time.Time) {
	s.took(r, now)
	s.stats.UpdateAttempt++
	if !r.Incremental {
		return
	}
	if s.held == nil {
		s.held = make(map[string]string)
	}
	for _, res := range r.Resources {
		if s.wants(res.Name) {
			s.held[res.Name] = res.Version
		}
	}
	for _, name := range r.Removed {
		delete(s.held, name)
	}
}

// namespace returns the name by which a resource is asked for.
func (s *subscription) namespace(name string) string {
	if i := strings.LastIndexByte(name, '/'); s.Namespaces && i >= 0 {
		return name[:i]
	}
	return name
}

// rejected keeps the version and remembers what to tell the server. It reports whether the response with this identity was
// refused just before.
func (s *subscription) rejected(identity string, why error) (again bool) {
	again = s.wasRefused && s.refused == identity
	s.refused, s.wasRefused = identity, true
	s.refusal = &statuspb.Status{Code: int32(codes.Internal), Message: errorDetail(why)}
	s.stats.UpdateAttempt++
	s.stats.UpdateRejected++
	return again
}

// errorDetail is the text of err as it may be sent: valid UTF-8 of at most MaxErrorDetail bytes.
func errorDetail(err error) string {
	text := strings.ToValidUTF8(err.Error(), "?")
	if len(text) <= MaxErrorDetail {
		return text
	}
	const mark = "..."
	return strings.ToValidUTF8(text[:MaxErrorDetail-len(mark)], "") + mark
}
