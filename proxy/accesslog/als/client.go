package als

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/penguintechinc/marchproxy-alb/config"
	"github.com/penguintechinc/marchproxy-alb/outbound"
	"github.com/penguintechinc/marchproxy-alb/outbound/bind"
	"github.com/penguintechinc/marchproxy-alb/outbound/grpcstats"
	"github.com/penguintechinc/marchproxy-alb/proxy/accesslog"
	"github.com/penguintechinc/marchproxy-alb/stats"
)

const (
	// maxQueued bounds the entries that wait, some MiB of them: more than a second's worth of a busy worker, while a connection
	// is made.
	maxQueued = 8 << 10
	// maxBatch bounds the entries of a message, whatever their size.
	maxBatch = 1 << 10
	// retryBase and retryMax are those of the wait between two attempts to reach the server, as of Envoy's gRPC streams.
	retryBase = 500 * time.Millisecond
	retryMax  = 30 * time.Second
	// sendTimeout bounds how long a message may be on its way before the server counts as gone.
	sendTimeout = 10 * time.Second
)

// Options are what a Client needs from outside.
type Options struct {
	// Node is what the proxy tells about itself. It is read-only.
	Node *corev3.Node
	// Server returns where the log server is. It is called for each connection.
	Server func() accesslog.Server
	Logger *zap.Logger
	// Written and Dropped count entries; both are required.
	Written, Dropped *stats.AtomicCounter
}

// Client is a Logger that sends to a log server.
type Client struct {
	config   *config.GRPCAccessLog
	metadata metadata.MD // that a stream begins with
	options  Options
	queue    chan *datav3.HTTPAccessLogEntry
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// New returns a Client, which has begun to look for the server.
func New(c *config.GRPCAccessLog, o Options) *Client {
	ctx, cancel := context.WithCancel(context.Background())
	k := &Client{config: c, options: o, queue: make(chan *datav3.HTTPAccessLogEntry, maxQueued), cancel: cancel}
	for _, entry := range c.Metadata {
		k.metadata = metadata.Join(k.metadata, metadata.Pairs(entry.Key, entry.Value))
	}
	k.running.Go(func() { k.run(ctx) })
	return k
}

// Log implements accesslog.Logger.
func (k *Client) Log(e *accesslog.Entry) {
	select {
	case k.queue <- entryOf(e, k.config):
	default:
		k.options.Dropped.Inc()
	}
}

// Close implements accesslog.Logger. What waits is tried once.
func (k *Client) Close() {
	k.cancel()
	k.running.Wait()
	k.options.Dropped.Add(uint64(len(k.queue)))
}

// run keeps a stream to the server, one after the other. It begins with the first entry.
func (k *Client) run(ctx context.Context) {
	wait := retryBase
	var first *datav3.HTTPAccessLogEntry
	defer func() {
		if first != nil {
			k.options.Dropped.Inc()
		}
	}()
	for ctx.Err() == nil {
		if first == nil {
			select {
			case first = <-k.queue:
			case <-ctx.Done():
				return
			}
		}
		sent, err := k.stream(ctx, &first)
		if sent {
			wait = retryBase
		}
		if ctx.Err() != nil {
			return
		}
		k.options.Logger.Warn("the stream to the log server ended", zap.String("log", k.config.LogName),
			zap.String("cluster", k.config.Cluster), zap.Error(err))
		pause(ctx, time.Duration(rand.Int64N(int64(wait))+1))
		wait = min(2*wait, retryMax)
	}
}

// pause waits for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

var errNoAddress = errors.New("the cluster has no address")

// stream sends batches on one stream, *first to begin with, until it breaks. sent tells that it took something. What was in a
// batch that broke it is lost, and counted.
func (k *Client) stream(ctx context.Context, first **datav3.HTTPAccessLogEntry) (sent bool, err error) {
	conn, err := k.dial(k.options.Server())
	if err != nil {
		return false, err
	}
	defer conn.Close()
	life, cancel := context.WithCancel(metadata.NewOutgoingContext(context.WithoutCancel(ctx), k.metadata))
	defer cancel()
	stream, err := accesslogv3.NewAccessLogServiceClient(conn).StreamAccessLogs(life)
	if err != nil {
		return false, err
	}
	identifier := &accesslogv3.StreamAccessLogsMessage_Identifier{Node: k.options.Node, LogName: k.config.LogName}
	for {
		batch, last := k.batch(ctx, *first)
		*first = nil
		// A server that takes nothing would hold up what follows for ever.
		late := time.AfterFunc(sendTimeout, cancel)
		err := stream.Send(&accesslogv3.StreamAccessLogsMessage{
			Identifier: identifier,
			LogEntries: &accesslogv3.StreamAccessLogsMessage_HttpLogs{
				HttpLogs: &accesslogv3.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: batch},
			},
		})
		late.Stop()
		if err != nil {
			k.options.Dropped.Add(uint64(len(batch)))
			return sent, errors.Join(err, k.end(stream, cancel))
		}
		sent, identifier = true, nil
		k.options.Written.Add(uint64(len(batch)))
		if last {
			return sent, k.end(stream, cancel)
		}
		select {
		case *first = <-k.queue:
		case <-ctx.Done():
			return sent, k.end(stream, cancel)
		}
	}
}

// end says that nothing follows, and returns what the server has to say of that.
func (k *Client) end(stream accesslogv3.AccessLogService_StreamAccessLogsClient, cancel func()) error {
	late := time.AfterFunc(sendTimeout, cancel)
	defer late.Stop()
	_, err := stream.CloseAndRecv()
	return err
}

// dial returns a connection to one of the hosts of a server.
func (k *Client) dial(server accesslog.Server) (*grpc.ClientConn, error) {
	if len(server.Hosts) == 0 {
		return nil, errNoAddress
	}
	host := server.Hosts[rand.IntN(len(server.Hosts))]
	options := grpcstats.RequestOptions(func() *outbound.Cluster { return server.Outbound })
	return grpc.NewClient("passthrough:///"+host.Address.String(), append(options,
		grpc.WithAuthority(cmp.Or(k.config.Authority, k.config.Cluster)),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDisableServiceConfig(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return server.Outbound.Dial(ctx, host.Address.String(), func(ctx context.Context) (net.Conn, error) {
				return host.TLS.Dial(ctx, bind.Dialer(host.Bind), host.Address.Network(), host.Address.String(), "", host.First, []string{"h2"}, server.Outbound.CountHandshake)
			})
		}))...)
}

// batch returns first and what follows it within the flush interval, as far as it fits. last tells that nothing is to follow.
func (k *Client) batch(ctx context.Context, first *datav3.HTTPAccessLogEntry) (batch []*datav3.HTTPAccessLogEntry, last bool) {
	batch = append(batch, first)
	size := proto.Size(first)
	timer := time.NewTimer(k.config.FlushInterval)
	defer timer.Stop()
	for size < int(k.config.BufferBytes) && len(batch) < maxBatch {
		select {
		case e := <-k.queue:
			batch = append(batch, e)
			size += proto.Size(e)
		case <-timer.C:
			return batch, false
		case <-ctx.Done():
			return k.rest(batch), true
		}
	}
	return batch, false
}

// rest adds what waits to a batch, as far as it may grow.
func (k *Client) rest(batch []*datav3.HTTPAccessLogEntry) []*datav3.HTTPAccessLogEntry {
	for len(batch) < maxBatch {
		select {
		case e := <-k.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}
