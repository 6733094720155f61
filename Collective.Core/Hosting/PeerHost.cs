using System.Net;
using System.Net.Sockets;
using Collective.Coordination;
using Collective.Protocol;
using Collective.Transport;
using Microsoft.Extensions.Logging;

namespace Collective.Hosting;

/// <summary>What the peer's loop tells the façade. Called on the loop's thread: return soon, never block.</summary>
internal interface IPeerHandler
{
    void Welcomed(PeerId id, uint segmentBytes);

    void WorldStands(Membership membership);

    void StartRing(OperationId operation, AttemptKey attempt, Membership membership);

    void ReleaseRing(OperationId operation);

    void StopRing(OperationId operation);

    /// <summary>The end of a call, as the following two; and whether the application sees the world that stands from now on.</summary>
    void FinishOperation(OperationId operation, Outcome outcome, bool sees);

    void FinishRequest(RequestNumber request, Outcome outcome, bool yes, bool sees);

    /// <summary>Begin to fetch what the plan says; on threads of its own.</summary>
    void FetchState(RequestNumber request, SharedStatePlan plan);

    void HolderLost(RequestNumber request, PeerId holder);

    void FinishSync(PeerOutput.FinishSync end);

    /// <summary>Serves a connection to its end; on the connection's thread, not on the loop's.</summary>
    void ServeState(IByteConnection connection);

    /// <summary>Comes with each heartbeat, and when the time of a call is over.</summary>
    void Ticked();

    /// <summary>Whether others may come to fetch shared state now. Called on any thread.</summary>
    bool GivesState { get; }

    /// <summary>Comes before the calls that tell of the end of what is pending: a caller that hears of one may connect again at once.</summary>
    void Dying(Outcome outcome);

    /// <summary>Everything is closed; ends what is still pending.</summary>
    void Died(Outcome outcome);

    /// <summary>The last call, at the end of the loop: nothing follows it, so it may run what waits for the end.</summary>
    void Ended();
}

/// <summary>
/// Runs one <see cref="PeerStateMachine"/>: one thread owns it and performs its outputs; the control connection's thread, the transport's threads and the
/// application post inputs. None of them is a thread-pool thread, so a trainer that keeps the pool busy does not look dead.
/// </summary>
internal sealed class PeerHost : ITransportEvents
{
    private readonly PeerHostOptions _options;
    private readonly IPeerHandler _handler;
    private readonly ILogger _logger;
    private readonly PeerStateMachine _machine = new();
    private readonly Mailbox<PeerInput> _inputs = new(Limits.InputsMax);
    private readonly Queue<PeerInput> _ownInputs = new();
    private readonly byte[] _sendBuffer = GC.AllocateUninitializedArray<byte>(4096);
    private readonly ControlConnection _connection;
    private readonly DataListener _listener;
    private volatile ITransport? _transport;
    private volatile bool _leaving;
    private Thread? _loop;
    private long _wakeAtMs = long.MaxValue;
    private bool _dead;

    // Everything is closed, and all who wait have been told.
    private bool _hasDied;

    public PeerHost(PeerHostOptions options, DataListener listener, IPeerHandler handler, ILogger logger)
    {
        _options = options;
        _listener = listener;
        _handler = handler;
        _logger = logger;
        _connection = new ControlConnection(options, OnControlConnected, OnControlMessage, Post);
    }

    /// <summary>The transport, once the master is reached.</summary>
    public ITransport? Transport => _transport;

    /// <summary>Begins to connect. Also where the system gives no threads: then the handler hears of the end.</summary>
    public void Start(long timeoutMs, IReadOnlyList<Fingerprint> fingerprints)
    {
        Post(new PeerInput.Connect(_options.Group, _options.MinimumWorldSize, timeoutMs, (int)_options.StallTimeout.TotalMilliseconds) { KeepsMinimum = _options.KeepsMinimum, Fingerprints = fingerprints });
        try
        {
            _loop = new Thread(Loop, maxStackSize: 1024 * 1024) { IsBackground = true, Name = "collective-peer" };
            _loop.Start();
        }
        catch (Exception e)
        {
            _inputs.Close();
            _handler.Died(CannotConnect(e));
            _handler.Ended();
            return;
        }

        try
        {
            _connection.Start();
        }
        catch (Exception e)
        {
            var outcome = CannotConnect(e);
            Post(new PeerInput.Lost(outcome.Code, outcome.Reason));
        }
    }

    /// <summary>Hands an input to the loop, waiting while it is behind. After death inputs are ignored.</summary>
    public void Post(PeerInput input)
    {
        if (input is PeerInput.Leave)
        {
            _leaving = true; // The others make their ring without this peer, and its links end: that is no news.
        }

        if (Thread.CurrentThread == _loop)
        {
            _ownInputs.Enqueue(input); // An operation that completed as it was entered: the loop cannot wait for itself.
            return;
        }

        _inputs.Post(input);
    }

    public void Wired(Epoch epoch) => Post(new PeerInput.Wired(epoch));

    public void LinkLost(Epoch epoch, PeerId neighbour, bool outgoing, string detail)
    {
        if (!_leaving)
        {
            _logger.LogWarning("Link {Direction} peer {Neighbour} lost in epoch {Epoch}: {Detail}", outgoing ? "to" : "from", neighbour.ToShortString(), epoch, detail);
        }

        Post(new PeerInput.LinkLost(epoch, neighbour, outgoing, detail));
    }

    public void Surveyed(Epoch epoch, IReadOnlyList<ushort> unreachable) => Post(new PeerInput.Surveyed(epoch, unreachable));

    public void ProbeDone(ulong number, ulong? bytesPerSecond, string detail) => Post(new PeerInput.ProbeDone(number, bytesPerSecond is not null, bytesPerSecond ?? 0, detail));

    public void Failed(Exception exception)
    {
        if (Shortage.Of(exception) is { } reason)
        {
            Post(new PeerInput.LocalFault(reason));
            return;
        }

        _logger.LogCritical(exception, "A data link failed");
        Post(new PeerInput.Lost(ErrorCode.InternalError, exception.Message));
    }

    public void SegmentMoved(bool sent) => _options.Probe?.Invoke(sent ? "segment-sent" : "segment-received");

    private PeerInput.Lost? OnControlConnected(IPAddress local)
    {
        try
        {
            _transport = _listener.Listen(_options.ConnectTimeout, _options.StallTimeout, this, () => _handler.GivesState);
            _transport.ServeState(_handler.ServeState);
            return Introduce(local, _transport.Port);
        }
        catch (SocketException e) when (Shortage.Of(e) is null)
        {
            return new PeerInput.Lost(
                e.SocketErrorCode == SocketError.AddressAlreadyInUse ? ErrorCode.AddressInUse : ErrorCode.InvalidArgument,
                $"cannot listen for data on port {_listener.Port ?? _listener.FirstPort}: {e.Message}: choose another port, or 0 to let the system choose");
        }
    }

    private PeerInput.Lost? Introduce(IPAddress local, ushort port)
    {
        if (_options.Advertised is not { } advertised)
        {
            Post(new PeerInput.Connected(port, Announced: null, OwnAddresses.Alternative(local, port)));
            return null;
        }

        try
        {
            var (announced, alternative) = OwnAddresses.Announced(advertised.Host, advertised.Port == 0 ? port : advertised.Port, _options.Resolve);
            Post(new PeerInput.Connected(port, announced, alternative));
            return null;
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            return new PeerInput.Lost(ErrorCode.InvalidArgument, $"cannot announce '{advertised.Host}' as this peer's address: {e.Message}: choose a name that this host can resolve, or an address");
        }
    }

    private void OnControlMessage(FrameHeader header, Message message)
    {
        _options.Probe?.Invoke($"receive:{message.Kind}");
        Post(new PeerInput.Received(header.Term, header.Run, message));
    }

    private void Loop()
    {
        try
        {
            RunUntilDeath();
        }
        catch (Exception e)
        {
            DieOf(e);
        }

        _inputs.Close();
        _handler.Ended();
    }

    private void RunUntilDeath()
    {
        while (!_dead)
        {
            if (_ownInputs.TryDequeue(out var input) || _inputs.TryTake(out input, _wakeAtMs - Environment.TickCount64))
            {
                Step(input);
            }

            if (Environment.TickCount64 >= _wakeAtMs && !_dead)
            {
                Step(new PeerInput.Tick(_transport?.Moved ?? default, _connection.HeardMs));
                _handler.Ticked();
            }
        }
    }

    private static Outcome CannotConnect(Exception exception)
        => Shortage.Of(exception) is { } shortage ? new(ErrorCode.LimitExceeded, $"this peer cannot connect: {shortage}") : new(ErrorCode.InternalError, exception.Message);

    /// <summary>
    /// A shortage or a defect of ours must end this communicator, never the host process. Of a shortage the machine tells the master; where it cannot any more, or that fails too,
    /// everything is closed all the same, and those who wait are told.
    /// </summary>
    private void DieOf(Exception exception)
    {
        var shortage = Shortage.Of(exception);
        try
        {
            if (shortage is not null)
            {
                Step(new PeerInput.LocalFault(shortage));
            }
            else
            {
                _logger.LogCritical(exception, "The communicator's loop failed");
            }
        }
        catch (Exception)
        {
            // One more thing that could not be had.
        }

        if (_hasDied)
        {
            return;
        }

        var outcome = shortage is null ? new Outcome(ErrorCode.InternalError, exception.Message) : new Outcome(ErrorCode.LimitExceeded, $"this peer cannot take part in the run: {shortage}");
        try
        {
            Perform(new PeerOutput.Die(outcome));
        }
        catch (Exception)
        {
            _handler.Died(outcome);
        }
    }

    private void Step(PeerInput input)
    {
        var outputs = _machine.Step(Environment.TickCount64, input);
        if (outputs is [.., PeerOutput.Die death])
        {
            _handler.Dying(death.Outcome);
        }

        foreach (var output in outputs)
        {
            Perform(output);
        }
    }

    private void Perform(PeerOutput output)
    {
        switch (output)
        {
            case PeerOutput.Send m: Send(m.Message); break;
            case PeerOutput.Wire m: Wire(m); break;
            case PeerOutput.Survey m: _transport!.Survey(new SurveyPlan(m.Epoch, [.. m.Targets.Select(t => new SurveyTarget(t.Rank, t.Member))])); break;
            case PeerOutput.Probe m: _transport!.Probe(new ProbePlan(m.Key, m.Self, m.Number, m.From, m.To)); break;
            case PeerOutput.Welcomed m: _handler.Welcomed(m.Id, m.SegmentBytes); break;
            case PeerOutput.WorldStands m: _handler.WorldStands(m.Membership); break;
            case PeerOutput.StartRing m: _handler.StartRing(m.Operation, m.Attempt, m.Membership); break;
            case PeerOutput.ReleaseRing m: _handler.ReleaseRing(m.Operation); break;
            case PeerOutput.StopRing m: _handler.StopRing(m.Operation); break;
            case PeerOutput.FinishOperation m: _handler.FinishOperation(m.Operation, m.Outcome, m.Seen is not null); break;
            case PeerOutput.FinishRequest m: _handler.FinishRequest(m.Request, m.Outcome, m.Yes, m.Seen is not null); break;
            case PeerOutput.FetchState m: _handler.FetchState(m.Request, m.Plan); break;
            case PeerOutput.HolderLost m: _handler.HolderLost(m.Request, m.Holder); break;
            case PeerOutput.FinishSync m: _handler.FinishSync(m); break;
            case PeerOutput.WakeAt m: _wakeAtMs = m.NowMs; break;
            case PeerOutput.Waits m: _logger.LogInformation("Peer {Peer} has waited {Seconds} s {Where}", _machine.Self.ToShortString(), m.Seconds, m.Text); break;
            case PeerOutput.Die m:
                _dead = true;
                if (m.Heard)
                {
                    _connection.AwaitEnd();
                }

                _connection.Dispose();
                _transport?.Dispose();
                _logger.LogInformation("Peer {Peer} ended: {Reason}", _machine.Self.ToShortString(), m.Outcome.Succeeded ? "left" : m.Outcome.Reason);
                _handler.Died(m.Outcome);
                _hasDied = true;
                break;
        }
    }

    private void Wire(PeerOutput.Wire wire)
    {
        var count = wire.Members.Count;
        Member? next = count > 1 ? wire.Members[(wire.Rank + 1) % count] : null;
        Member? previous = count > 1 ? wire.Members[(wire.Rank + count - 1) % count] : null;
        _logger.LogDebug("Epoch {Epoch}: rank {Rank} of {WorldSize}", wire.Epoch, wire.Rank, count);
        _transport!.Wire(new WirePlan(wire.Key, wire.Self, wire.Epoch, next, previous));
    }

    private void Send(Message message)
    {
        _options.Probe?.Invoke($"before-send:{message.Kind}");
        var (run, term) = _machine.Master;
        var bytesMax = MessageCodec.EncodedBytesMax(message);
        var buffer = bytesMax <= _sendBuffer.Length ? _sendBuffer : GC.AllocateUninitializedArray<byte>(bytesMax);
        var length = MessageCodec.Encode(message, term, run, buffer);
        try
        {
            _connection.Send(buffer.AsSpan(0, length));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The reading side reports the loss, after it has read why, if the master said so: what was said here is lost with the connection.
            _logger.LogDebug("Could not send {Message}: {Reason}", message.Kind, e.Message);
            _connection.EndSending();
        }

        _options.Probe?.Invoke($"after-send:{message.Kind}");
    }
}
