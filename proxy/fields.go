package proxy

import (
	"encoding/hex"
	"strconv"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/proxy/message"
)

// Field values that never change. They are never written.
var (
	valueTrue      = []byte("true")
	valueFalse     = []byte("false")
	valueOne       = []byte("1")
	valueHTTP      = []byte("http")
	valueHTTPS     = []byte("https")
	valueTextPlain = []byte("text/plain")
	valueContinue  = []byte("100-continue")
	valueGRPC      = []byte("application/grpc")
	methodGet      = []byte("GET")
)

// Names that clients outside may not send, by who may.
var (
	// fromInternalOnly are taken from every request that is not internal.
	fromInternalOnly = message.NewNameSet(
		message.NameXEnvoyRetryOn, message.NameXEnvoyRetryGRPCOn, message.NameXEnvoyMaxRetries,
		message.NameXEnvoyRetriableStatusCodes, message.NameXEnvoyRetriableHeaderNames,
		message.NameXEnvoyUpstreamRqTimeoutMs, message.NameXEnvoyUpstreamRqPerTryTimeoutMs,
		message.NameXEnvoyUpstreamRqTimeoutAltResponse, message.NameXEnvoyExpectedRqTimeoutMs,
		message.NameXEnvoyUpstreamAltStatName, message.NameXEnvoyForceTrace, message.NameXEnvoyIPTags,
		message.NameXEnvoyOriginalURL, message.NameXEnvoyHedgeOnPerTryTimeout,
	)
	// fromInside are taken from edge requests: external ones to a listener that faces clients.
	fromInside = message.NewNameSet(
		message.NameXEnvoyDownstreamServiceCluster, message.NameXEnvoyDownstreamServiceNode,
		message.NameXEnvoyDecoratorOperation, message.NameXEnvoyOriginalPath,
	)
	// always are taken from every request.
	always = message.NewNameSet(message.NameXEnvoyInternal, message.NameKeepAlive, message.NameProxyConnection)
)

// mutateRequestFields makes the request's fields what the connection manager wants them to be: who the client is, whether
// it may be believed, and the request's identity.
func (x *exchange) mutateRequestFields(m *config.HTTPConnectionManager) verdict {
	if len(m.EarlyMutations) > 0 {
		x.mutateEarly()
	}
	fields := &x.request.Fields
	fields.DelSet(&always)
	x.setForwardedClientCert(m)
	if v := x.setForwardedFor(m); v != verdictNone {
		return v
	}
	x.setForwardedProto(m)
	x.setForwardedPort(m)
	if x.internal {
		fields.Set(message.NameXEnvoyInternal, valueTrue)
	} else {
		fields.DelSet(&fromInternalOnly)
	}
	edge := !x.internal && m.UseRemoteAddress
	if edge {
		fields.DelSet(&fromInside)
		if client := x.externalAddress(m); len(client) > 0 {
			fields.Set(message.NameXEnvoyExternalAddress, client)
		} else { // on a Unix domain socket
			fields.Del(message.NameXEnvoyExternalAddress)
		}
	}
	x.setRequestID(m, edge)
	if len(x.manager.via) > 0 {
		x.appendToList(message.NameVia, x.manager.via)
	}
	if x.request.ExpectContinue && m.Proxy100Continue {
		fields.Add(message.NameExpect, valueContinue) // the codec took it out
	}
	return verdictNone
}

// mutateEarly makes the changes that go before everything else. Who the client is, is not known then but for its connection.
func (x *exchange) mutateEarly() {
	ctx := x.mutationContext()
	ctx.DownstreamRemote = x.conn.remoteAddr()
	x.manager.early.MutateRequest(&ctx, nil, nil, &x.arena)
	x.grpc = x.isGRPC()
}

// setForwardedClientCert makes x-forwarded-client-cert what the connection manager wants it to be. Only a client that has shown a
// certificate may have one, unless it is believed in any case.
func (x *exchange) setForwardedClientCert(m *config.HTTPConnectionManager) {
	fields, secure := &x.request.Fields, x.conn.secure
	shown := secure != nil && secure.Certificate != nil
	switch {
	case m.ForwardClientCert == config.ClientCertAlwaysForwardOnly:
	case !shown || m.ForwardClientCert == config.ClientCertSanitize:
		fields.Del(message.NameXForwardedClientCert)
	case m.ForwardClientCert == config.ClientCertForwardOnly:
	case m.ForwardClientCert == config.ClientCertAppendForward:
		x.appendToList(message.NameXForwardedClientCert, x.conn.clientCertText(m.ClientCertDetails))
	default:
		fields.Set(message.NameXForwardedClientCert, x.conn.clientCertText(m.ClientCertDetails))
	}
}

// setForwardedProto tells the origin how the client reached the first proxy that is trusted. That is also the scheme of a
// request whose target does not name one.
func (x *exchange) setForwardedProto(m *config.HTTPConnectionManager) {
	fields := &x.request.Fields
	scheme := schemeValue(x.overTLS())
	believed := !m.UseRemoteAddress || m.XFFNumTrustedHops > 0
	if proto, ok := fields.Get(message.NameXForwardedProto); believed && ok {
		scheme = schemeValue(string(proto) == "https")
	} else {
		fields.Set(message.NameXForwardedProto, scheme)
	}
	// HTTP/2 always names one. Who is not believed may not claim what the transport is not.
	if x.request.Scheme == nil || !believed && x.request.Version == message.HTTP2 {
		x.request.Scheme = scheme
	}
	if m.Scheme != "" {
		x.request.Scheme = schemeValue(m.Scheme == "https")
		fields.Set(message.NameXForwardedProto, x.request.Scheme)
	}
}

// schemeValue returns the name of a scheme.
func schemeValue(secure bool) []byte {
	if secure {
		return valueHTTPS
	}
	return valueHTTP
}

// setForwardedPort tells the origin which port the client has connected to, unless a proxy that is trusted has told.
func (x *exchange) setForwardedPort(m *config.HTTPConnectionManager) {
	fields := &x.request.Fields
	believed := !m.UseRemoteAddress || m.XFFNumTrustedHops > 0
	if !m.AppendForwardedPort || believed && fields.Has(message.NameXForwardedPort) {
		return
	}
	if local := x.conn.localAddr(); local.IsValid() { // not on a Unix domain socket
		fields.Set(message.NameXForwardedPort, x.arenaInt(int64(local.Port())))
	}
}

// setRequestID gives the request a UUID of version 4, unless it brings one that may be kept.
func (x *exchange) setRequestID(m *config.HTTPConnectionManager, edge bool) {
	if !m.GenerateRequestID {
		return
	}
	fields := &x.request.Fields
	keep := !edge || m.PreserveExternalRequestID
	value, ok := fields.Get(message.NameXRequestID)
	switch {
	case !ok || len(value) == 0 || !keep:
		fields.Set(message.NameXRequestID, x.newUUID())
	case edge && !m.KeepTraceReason && len(value) == uuidLength && value[uuidTraceReason] != uuidNoTrace:
		value = x.arenaBytes(value)
		value[uuidTraceReason] = uuidNoTrace
		fields.Set(message.NameXRequestID, value)
	}
}

// What Envoy packs into request IDs: whether, and why, the request is traced. Somebody outside may not decide that.
const (
	uuidLength      = 36
	uuidTraceReason = 14 // where it is
	uuidNoTrace     = '4'
)

// newUUID appends a random UUID (RFC 9562 section 5.4) to the arena.
func (x *exchange) newUUID() []byte {
	var id [16]byte
	w := x.worker
	for i := range 2 {
		v := w.ids.Uint64()
		for j := range 8 {
			id[i*8+j] = byte(v >> (8 * j))
		}
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	var text [uuidLength]byte
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return x.arenaBytes(text[:])
}

// appendToList adds value to a field of the request that is a list, as one field line.
func (x *exchange) appendToList(id message.NameID, value []byte) {
	x.arena = appendToList(&x.request.Fields, id, value, x.arena)
}

// appendToList adds value to a field that is a list, as one field line, which is appended to arena.
func appendToList(fields *message.Fields, id message.NameID, value, arena []byte) []byte {
	if !fields.Has(id) {
		fields.Add(id, value)
		return arena
	}
	start := len(arena)
	for i := range fields.All() {
		if f := &fields.All()[i]; f.ID == id {
			arena = append(arena, f.Value...)
			arena = append(arena, ',')
		}
	}
	arena = append(arena, value...)
	fields.Set(id, arena[start:len(arena):len(arena)])
	return arena
}

// mutateResponseFields makes the fields of an upstream's response what the client is to see.
func (x *exchange) mutateResponseFields() {
	fields := &x.response.Fields
	x.setCookies()
	if millis, ok := x.serviceMillis(); ok && !x.manager.config.Router.SuppressEnvoyHeaders {
		fields.Set(message.NameXEnvoyUpstreamServiceTime, x.arenaInt(millis))
	}
	x.mutateByRoute()
	x.finishResponseFields()
}

// mutateByRoute applies what the route, if there is one, changes in the response.
func (x *exchange) mutateByRoute() {
	if x.route == nil {
		return
	}
	if x.attempts > 0 && x.route.VirtualHost.Config.IncludeAttemptCountInResponse {
		x.response.Fields.Set(message.NameXEnvoyAttemptCount, x.arenaInt(int64(x.attempts)))
	}
	if x.route.HasResponseMutations() {
		ctx := x.mutationContext()
		ctx.Response = &x.response
		x.route.MutateResponse(&ctx, x.target, &x.arena)
	}
}

// finishResponseFields sets what the connection manager says of itself.
func (x *exchange) finishResponseFields() {
	fields, m := &x.response.Fields, x.manager.config
	if !fields.Has(message.NameDate) {
		fields.Add(message.NameDate, x.worker.dateField())
	}
	switch {
	case m.ServerHeader == config.ServerOverwrite,
		m.ServerHeader == config.ServerAppendIfAbsent && !fields.Has(message.NameServer):
		fields.Set(message.NameServer, x.manager.serverName)
	}
	if len(x.manager.via) > 0 {
		fields.Add(message.NameVia, x.manager.via)
	}
	if m.AlwaysSetRequestID {
		if id, ok := x.request.Fields.Get(message.NameXRequestID); ok {
			fields.Set(message.NameXRequestID, id)
		}
	}
}

// added returns what was appended to the arena since it had start bytes, so that appending to the result cannot touch what
// comes after it.
func (x *exchange) added(start int) []byte { return x.arena[start:len(x.arena):len(x.arena)] }

// arenaBytes copies b into the arena.
func (x *exchange) arenaBytes(b []byte) []byte {
	start := len(x.arena)
	x.arena = append(x.arena, b...)
	return x.added(start)
}

// arenaInt appends n in decimal to the arena.
func (x *exchange) arenaInt(n int64) []byte {
	start := len(x.arena)
	x.arena = strconv.AppendInt(x.arena, n, 10)
	return x.added(start)
}
