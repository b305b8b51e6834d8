package message

// NameID identifies a well-known field name, so that the request path compares numbers and not strings.
type NameID uint8

// The well-known names: those which the proxy itself reads, writes or removes.
const (
	NameOther NameID = iota
	NameAccept
	NameAuthorization
	NameConnection
	NameContentLength
	NameContentType
	NameCookie
	NameDate
	NameExpect
	NameGRPCMessage
	NameGRPCStatus
	NameGRPCTimeout
	NameHTTP2Settings
	NameHost
	NameKeepAlive
	NameLocation
	NameProxyConnection
	NameServer
	NameTE
	NameTrailer
	NameTransferEncoding
	NameUpgrade
	NameUserAgent
	NameVia
	NameXEnvoyAttemptCount
	NameXEnvoyDecoratorOperation
	NameXEnvoyDownstreamServiceCluster
	NameXEnvoyDownstreamServiceNode
	NameXEnvoyExpectedRqTimeoutMs
	NameXEnvoyExternalAddress
	NameXEnvoyForceTrace
	NameXEnvoyHedgeOnPerTryTimeout
	NameXEnvoyIPTags
	NameXEnvoyInternal
	NameXEnvoyMaxRetries
	NameXEnvoyOriginalHost
	NameXEnvoyOriginalPath
	NameXEnvoyOriginalURL
	NameXEnvoyOverloaded
	NameXEnvoyRateLimited
	NameXEnvoyRetriableHeaderNames
	NameXEnvoyRetriableStatusCodes
	NameXEnvoyRetryGRPCOn
	NameXEnvoyRetryOn
	NameXEnvoyUpstreamAltStatName
	NameXEnvoyUpstreamCanary
	NameXEnvoyUpstreamRqPerTryTimeoutMs
	NameXEnvoyUpstreamRqTimeoutAltResponse
	NameXEnvoyUpstreamRqTimeoutMs
	NameXEnvoyUpstreamServiceTime
	NameXForwardedClientCert
	NameXForwardedFor
	NameXForwardedHost
	NameXForwardedPort
	NameXForwardedProto
	NameXRequestID

	nameCount
)

// nameWords is the number of 64-bit words of a set with one bit per NameID.
const nameWords = (int(nameCount) + 63) / 64

// names holds the lower-case spelling of every well-known name, by NameID. It is never written.
var names = [nameCount][]byte{
	NameAccept:                             []byte("accept"),
	NameAuthorization:                      []byte("authorization"),
	NameConnection:                         []byte("connection"),
	NameContentLength:                      []byte("content-length"),
	NameContentType:                        []byte("content-type"),
	NameCookie:                             []byte("cookie"),
	NameDate:                               []byte("date"),
	NameExpect:                             []byte("expect"),
	NameGRPCMessage:                        []byte("grpc-message"),
	NameGRPCStatus:                         []byte("grpc-status"),
	NameGRPCTimeout:                        []byte("grpc-timeout"),
	NameHTTP2Settings:                      []byte("http2-settings"),
	NameHost:                               []byte("host"),
	NameKeepAlive:                          []byte("keep-alive"),
	NameLocation:                           []byte("location"),
	NameProxyConnection:                    []byte("proxy-connection"),
	NameServer:                             []byte("server"),
	NameTE:                                 []byte("te"),
	NameTrailer:                            []byte("trailer"),
	NameTransferEncoding:                   []byte("transfer-encoding"),
	NameUpgrade:                            []byte("upgrade"),
	NameUserAgent:                          []byte("user-agent"),
	NameVia:                                []byte("via"),
	NameXEnvoyAttemptCount:                 []byte("x-envoy-attempt-count"),
	NameXEnvoyDecoratorOperation:           []byte("x-envoy-decorator-operation"),
	NameXEnvoyDownstreamServiceCluster:     []byte("x-envoy-downstream-service-cluster"),
	NameXEnvoyDownstreamServiceNode:        []byte("x-envoy-downstream-service-node"),
	NameXEnvoyExpectedRqTimeoutMs:          []byte("x-envoy-expected-rq-timeout-ms"),
	NameXEnvoyExternalAddress:              []byte("x-envoy-external-address"),
	NameXEnvoyForceTrace:                   []byte("x-envoy-force-trace"),
	NameXEnvoyHedgeOnPerTryTimeout:         []byte("x-envoy-hedge-on-per-try-timeout"),
	NameXEnvoyIPTags:                       []byte("x-envoy-ip-tags"),
	NameXEnvoyInternal:                     []byte("x-envoy-internal"),
	NameXEnvoyMaxRetries:                   []byte("x-envoy-max-retries"),
	NameXEnvoyOriginalHost:                 []byte("x-envoy-original-host"),
	NameXEnvoyOriginalPath:                 []byte("x-envoy-original-path"),
	NameXEnvoyOriginalURL:                  []byte("x-envoy-original-url"),
	NameXEnvoyOverloaded:                   []byte("x-envoy-overloaded"),
	NameXEnvoyRateLimited:                  []byte("x-envoy-ratelimited"),
	NameXEnvoyRetriableHeaderNames:         []byte("x-envoy-retriable-header-names"),
	NameXEnvoyRetriableStatusCodes:         []byte("x-envoy-retriable-status-codes"),
	NameXEnvoyRetryGRPCOn:                  []byte("x-envoy-retry-grpc-on"),
	NameXEnvoyRetryOn:                      []byte("x-envoy-retry-on"),
	NameXEnvoyUpstreamAltStatName:          []byte("x-envoy-upstream-alt-stat-name"),
	NameXEnvoyUpstreamCanary:               []byte("x-envoy-upstream-canary"),
	NameXEnvoyUpstreamRqPerTryTimeoutMs:    []byte("x-envoy-upstream-rq-per-try-timeout-ms"),
	NameXEnvoyUpstreamRqTimeoutAltResponse: []byte("x-envoy-upstream-rq-timeout-alt-response"),
	NameXEnvoyUpstreamRqTimeoutMs:          []byte("x-envoy-upstream-rq-timeout-ms"),
	NameXEnvoyUpstreamServiceTime:          []byte("x-envoy-upstream-service-time"),
	NameXForwardedClientCert:               []byte("x-forwarded-client-cert"),
	NameXForwardedFor:                      []byte("x-forwarded-for"),
	NameXForwardedHost:                     []byte("x-forwarded-host"),
	NameXForwardedPort:                     []byte("x-forwarded-port"),
	NameXForwardedProto:                    []byte("x-forwarded-proto"),
	NameXRequestID:                         []byte("x-request-id"),
}

// Bytes returns the lower-case spelling of the name, nil for NameOther. It must not be changed.
func (id NameID) Bytes() []byte { return names[id] }

// String returns the lower-case spelling of the name.
func (id NameID) String() string { return string(names[id]) }

// nameTable finds a well-known name by nameHash, which is different for each of them: one comparison decides. It is never
// written after it was built.
var nameTable = buildNameTable()

const nameTableSize = 512

func buildNameTable() (table [nameTableSize]NameID) {
	for id := NameOther + 1; id < nameCount; id++ {
		table[nameHash(names[id])] = id
	}
	return table
}

// nameHash is a perfect hash of the well-known names (a test sees to it): of the length and three of the letters. name
// must not be empty.
func nameHash(name []byte) uint32 {
	n := len(name)
	return (uint32(n) + uint32(name[0]) + uint32(name[n*7/8])*3 + uint32(name[n/2])*16) % nameTableSize
}

// LookupName returns the NameID of a lower-case field name, NameOther when it is not a well-known one.
func LookupName(name []byte) NameID {
	if len(name) == 0 {
		return NameOther
	}
	if id := nameTable[nameHash(name)]; string(names[id]) == string(name) {
		return id
	}
	return NameOther
}

// NameSet is a set of well-known names.
type NameSet [nameWords]uint64

// NewNameSet returns the set of the given names.
func NewNameSet(ids ...NameID) (set NameSet) {
	for _, id := range ids {
		set[id>>6] |= 1 << (id & 63)
	}
	return set
}

// Contains reports whether id is in the set.
func (set *NameSet) Contains(id NameID) bool { return set[id>>6]&(1<<(id&63)) != 0 }
