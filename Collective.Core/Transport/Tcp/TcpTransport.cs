using System.Net;
using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>How a peer's data connections are made.</summary>
internal sealed record TcpTransportOptions(IPAddress Listen, int? ListenPort, int FirstPort, int StripeCount, TimeSpan ConnectTimeout, TimeSpan StallTimeout)
{
    /// <summary>Bytes a second that a probe to this peer sends at most: tests make slow pairs of it.</summary>
    public Func<PeerId, double?>? ProbeLimit { get; init; }

    /// <summary>Whether others may come to fetch shared state now.</summary>
    public Func<bool> GivesState { get; init; } = () => false;
}

/// <summary>Stripes over TCP: to the next peer and from the previous one.</summary>
internal sealed class TcpTransport : ITransport
{
    private readonly TcpTransportOptions _options;
    private readonly ITransportEvents _events;
    private readonly TcpInbound _inbound;
    private readonly TcpProbes _probes;
    private readonly TcpStates _states;
    private readonly TcpAcceptor _acceptor;

    // Guards the fields below: the peer's loop wires while stripes report.
    private readonly Lock _gate = new();
    private TcpOutgoingLink? _outgoing;
    private Epoch _epoch;
    private bool _outgoingReady;
    private bool _inboundReady;
    private bool _disposed;

    /// <summary>Listens at once. Throws <see cref="SocketException"/> when no port is free.</summary>
    public TcpTransport(TcpTransportOptions options, ITransportEvents events)
    {
        _options = options;
        _events = events;
        var listener = Listen(options);
        Port = (ushort)((IPEndPoint)listener.LocalEndPoint!).Port;
        _inbound = new TcpInbound(Router, events, epoch => OnReady(epoch, outgoing: false));
        _probes = new TcpProbes(options, events);
        _states = new TcpStates(options);
        try
        {
            _acceptor = new TcpAcceptor(listener, events, IsNeeded, _inbound, _probes, _states);
        }
        catch (OutOfMemoryException)
        {
            listener.Dispose(); // The system gives no thread.
            throw;
        }
    }

    public ushort Port { get; }

    public LinkBytes Moved => new(_outgoing?.BytesSent ?? 0, _inbound.BytesReceived);

    public SegmentRouter Router { get; } = new();

    public void Wire(WirePlan plan)
    {
        Router.SetEpoch(plan.Epoch);
        TcpOutgoingLink? outdated;
        TcpOutgoingLink? outgoing = null;
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _epoch = plan.Epoch;
            _outgoingReady = plan.Next is null;
            _inboundReady = false;
            outdated = _outgoing;
            if (plan.Next is { } next)
            {
                var fits = outdated is { Closed: false } && outdated.Neighbour == next;
                outgoing = fits ? outdated! : new TcpOutgoingLink(plan.Self, next, _options, _events, epoch => OnReady(epoch, outgoing: true));
            }

            _outgoing = outgoing;
        }

        if (outdated != outgoing)
        {
            outdated?.Dispose();
        }

        _acceptor.SetSelf(plan.Key, plan.Self);
        _states.SetSelf(plan.Key, plan.Self);
        outgoing?.Wire(plan.Key, plan.Epoch);
        _inbound.Wire(plan);
    }

    public void Probe(ProbePlan plan) => _probes.Start(plan);

    public void Survey(SurveyPlan plan) => TcpSurvey.Start(plan, TimeSpan.FromMilliseconds(Math.Min(_options.ConnectTimeout.TotalMilliseconds, Limits.LinkConnectMsMax)), _events);

    public void Send(ISegmentHandler handler, in SegmentHeader header) => _outgoing?.Send(handler, header);

    public IByteConnection DialState(Member holder) => _states.Dial(holder);

    public void ServeState(Action<IByteConnection> serve) => _states.Use(serve);

    public void Dispose()
    {
        TcpOutgoingLink? outgoing;
        lock (_gate)
        {
            _disposed = true;
            outgoing = _outgoing;
            _outgoing = null;
        }

        outgoing?.Dispose();
        _inbound.Dispose();
        _probes.Dispose();
        _acceptor.Dispose();
    }

    /// <summary>Whether a member waits to be accepted: the previous one while the links of an epoch are made, or one that lacks shared state.</summary>
    private bool IsNeeded()
    {
        lock (_gate)
        {
            return (_epoch != Epoch.None && !_inboundReady) || _options.GivesState();
        }
    }

    private void OnReady(Epoch epoch, bool outgoing)
    {
        lock (_gate)
        {
            if (epoch != _epoch || (outgoing ? _outgoingReady : _inboundReady))
            {
                return;
            }

            _outgoingReady |= outgoing;
            _inboundReady |= !outgoing;
            if (!_outgoingReady || !_inboundReady)
            {
                return;
            }
        }

        _events.Wired(epoch);
    }

    private static Socket Listen(TcpTransportOptions options)
    {
        if (options.ListenPort is { } chosen)
        {
            return TakenPort.Listen(chosen, () => Listen(options.Listen, chosen));
        }

        var last = Math.Min(ushort.MaxValue, options.FirstPort + Limits.PortsTriedMax);
        for (var port = options.FirstPort; ; port++)
        {
            try
            {
                return Listen(options.Listen, port);
            }
            catch (SocketException) when (port < last)
            {
                // Taken: the next one.
            }
        }
    }

    private static Socket Listen(IPAddress address, int port)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            socket.Bind(new IPEndPoint(address, port));
            socket.Listen(Limits.ListenBacklogMax);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
