using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>
/// This peer's part in probes, one at a time: sends as much as it can, or measures what comes. The target counts, by its own clock: it knows what has arrived, while a
/// sender knows only what its system has taken. It ends the probe by closing the connections.
/// </summary>
internal sealed class TcpProbes(TcpTransportOptions options, ITransportEvents events) : IInboundKind, IDisposable
{
    /// <summary>"CPRB".</summary>
    public const uint ProbeMagic = 0x4252_5043;

    // Guards the fields below between the peer's loop and the connections' threads.
    private readonly object _gate = new();
    private ulong _number;
    private TcpProbeSender? _sender;
    private TcpProbeTarget? _target;
    private bool _closed;

    public uint Magic => ProbeMagic;

    public int ConnectionsMax => Limits.InboundProbesMax;

    public void Start(ProbePlan plan)
    {
        var sender = plan.IsSender ? new TcpProbeSender(plan, options, events) : null;
        TcpProbeSender? oldSender;
        TcpProbeTarget? oldTarget;
        lock (_gate)
        {
            if (_closed || plan.Number <= _number)
            {
                return;
            }

            (oldSender, oldTarget) = (_sender, _target);
            _number = plan.Number;
            _sender = sender;
            _target = plan.IsSender ? null : new TcpProbeTarget(plan, events);
            Monitor.PulseAll(_gate); // Connections that came before this peer was told.
        }

        oldSender?.Dispose();
        oldTarget?.Dispose();
        sender?.Start();
    }

    public void Serve(InboundConnection connection, byte[] hello)
    {
        if (DataHello.Parse(hello) is not { } record)
        {
            return;
        }

        TcpProbeTarget? target = null;
        var reply = connection.Judge(record);
        reply = reply != LinkReply.Accepted ? reply
            : record.Count is 0 or > Limits.StripesMax || record.Index >= record.Count ? LinkReply.BadStripe
            : (target = AwaitTarget(record.Number)) is null ? LinkReply.StaleEpoch
            : target.From != record.From ? LinkReply.WrongPeer
            : reply;
        if (reply == LinkReply.Accepted && !connection.TryAdmit())
        {
            return;
        }

        connection.Answer(reply);
        if (reply == LinkReply.Accepted)
        {
            target!.Receive(connection.Socket, record);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.PulseAll(_gate);
        }

        _sender?.Dispose();
        _target?.Dispose();
    }

    /// <summary>The sender may have been told of the probe before this peer; null when this peer is not, or no longer, the target of a probe of this number.</summary>
    private TcpProbeTarget? AwaitTarget(ulong number)
    {
        lock (_gate)
        {
            var deadline = Environment.TickCount64 + Limits.HandshakeMsMax;
            while (number > _number && !_closed && Environment.TickCount64 < deadline)
            {
                Monitor.Wait(_gate, Limits.HandshakeMsMax);
            }

            return number == _number && !_closed ? _target : null;
        }
    }
}
