package ads

import (
	"context"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
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
	// Decode returns the name and the message of a resource, whose type URL is already known to be URL. An error refuses
	// the whole response.
	Decode func(*anypb.Any) (name string, message proto.Message, err error)
	// Handle takes a response in which every resource could be decoded. An error refuses the response, and its text is told
	// to the server. It is called by the goroutine of Run: no other response is read meanwhile. ctx ends with the stream.
	Handle func(ctx context.Context, r Response) error
}

// Response is a decoded response. It belongs to Handle.
type Response struct {
	Version   string
	Resources []Resource // each name once
}

// Resource is one resource of a response.
type Resource struct {
	Name    string
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
	stats      Stats

	// Of the open stream only.
	nonce   string // of the last response
	asked   bool   // a request was sent
	queued  bool   // in Client.queue
	refusal *statuspb.Status
	refused string // version that was refused last, with wasRefused
	// wasRefused tells that the last response was refused.
	wasRefused bool
}

// worthAsking reports whether a request of s means what it should: a first request without names would ask for all
// resources of the type.
func (s *subscription) worthAsking() bool {
	return s.subscribed && (s.asked || s.Wildcard || len(s.names) > 0)
}

// streamEnded forgets what belonged to the stream.
func (s *subscription) streamEnded() {
	s.nonce, s.asked, s.queued, s.refusal, s.refused, s.wasRefused = "", false, false, nil, "", false
}

// request makes the request that is due, the answer to the last response included. An error detail is sent once.
func (s *subscription) request() *discoveryv3.DiscoveryRequest {
	r := &discoveryv3.DiscoveryRequest{
		VersionInfo:   s.version,
		ResourceNames: s.names,
		TypeUrl:       s.URL,
		ResponseNonce: s.nonce,
		ErrorDetail:   s.refusal,
	}
	s.refusal, s.queued, s.asked = nil, false, true
	return r
}

// accepted moves s to version.
func (s *subscription) accepted(version string, now time.Time) {
	s.version, s.wasRefused = version, false
	s.stats.UpdateAttempt++
	s.stats.UpdateSuccess++
	s.stats.UpdateTime = now
	s.stats.Version, s.stats.VersionText = VersionHash(version), version
}

// rejected keeps the version and remembers what to tell the server. It reports whether the same version was refused just
// before.
func (s *subscription) rejected(version string, why error) (again bool) {
	again = s.wasRefused && s.refused == version
	s.refused, s.wasRefused = version, true
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
