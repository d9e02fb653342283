package cluster

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// protocolKey names the protocol in the head of every connection.
const protocolKey = "signalbox-protocol"

// wireOptions configure the connections between nodes: encrypted and known on
// both sides when there are certificates, of one protocol, with bounded messages.
func wireOptions(o Options) []remote.ConfigOption {
	server, client := insecure.NewCredentials(), insecure.NewCredentials()
	if o.TLS != nil {
		server, client = credentials.NewTLS(o.TLS.server()), credentials.NewTLS(o.TLS.client())
	}
	g := &guard{options: o}
	return []remote.ConfigOption{
		remote.WithServerOptions(
			grpc.Creds(server), grpc.MaxRecvMsgSize(maxFrameBytes), grpc.StreamInterceptor(g.accept),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 2, PermitWithoutStream: true}),
		),
		remote.WithDialOptions(
			grpc.WithTransportCredentials(client), grpc.WithStreamInterceptor(g.connect),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout, PermitWithoutStream: true}),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: dialTimeout}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxFrameBytes), grpc.MaxCallSendMsgSize(maxFrameBytes)),
		),
	}
}

// guard stands at both ends of a connection.
type guard struct{ options Options }

// connect says which protocol this node speaks.
func (g *guard) connect(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(metadata.AppendToOutgoingContext(ctx, protocolKey, strconv.Itoa(Protocol)), desc, conn, method, opts...)
}

// accept refuses a node that speaks another protocol, and contains what Proto.Actor
// breaks over: a type of protobuf that this program does not have.
func (g *guard) accept(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	said := ""
	if head, ok := metadata.FromIncomingContext(stream.Context()); ok {
		if values := head.Get(protocolKey); len(values) > 0 {
			said = values[0]
		}
	}
	from := "somewhere"
	if p, ok := peer.FromContext(stream.Context()); ok {
		from = p.Addr.String()
	}
	if said != strconv.Itoa(Protocol) {
		g.options.Logger.Error("a connection of another node is refused: it speaks another protocol of the cluster", "from", from, "protocol", said, "ours", Protocol)
		return status.Errorf(codes.FailedPrecondition, "this node speaks protocol %d of the cluster, not %q: run the same release on all nodes, or releases that follow one another", Protocol, said)
	}
	defer func() {
		if cause := recover(); cause != nil {
			g.options.Logger.Error("a connection of another node broke on what it sent", "from", from, "cause", cause, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, fmt.Sprint("the connection broke: ", cause))
		}
	}()
	return handler(server, stream)
}
