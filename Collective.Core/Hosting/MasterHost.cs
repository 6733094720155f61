using System.Net;
using System.Net.Sockets;
using Collective.Coordination;
using Collective.Protocol;
using Collective.Transport.Tcp;
using Microsoft.Extensions.Logging;

namespace Collective.Hosting;

/// <summary>
/// Runs one <see cref="MasterStateMachine"/> on a listening socket. One thread does everything, however many peers there are: it reads what has come on all connections, hands that to the
/// machine as one batch, and sends. So nobody is blamed for silence while something of it waits to be read, and losses that come together make one epoch.
/// </summary>
internal sealed class MasterHost : IDisposable
{
    private const int ListenBacklog = 1024;
    private const long ListenerKey = 0;

    private readonly MasterStateMachine _machine;
    private readonly MasterLog _log;
    private readonly Socket _listener;
    private readonly IPoller _poller;
    private readonly DescriptorReserve _reserve = new();
    private readonly Dictionary<ConnectionId, MasterConnection> _connections = [];
    private readonly Queue<MasterConnection> _waiting = new();
    private readonly Queue<(MasterConnection Connection, long UntilMs)> _lingering = new();
    private readonly List<Readiness> _ready = [];
    private readonly List<MasterInput> _inputs = [];
    private readonly List<MasterInput> _batch = [];
    private readonly FrameMemory _memory = new();
    private readonly OutgoingFrame _frame;
    private readonly byte[] _received = GC.AllocateUninitializedArray<byte>(Limits.FramePieceBytes);
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _stopping;
    private long _nowMs;
    private long _wakeAtMs;
    private long _acceptAtMs;
    private long _lastConnection;

    /// <summary>Binds and starts. Throws <see cref="SocketException"/> when it cannot listen there, <see cref="OutOfMemoryException"/> when the system gives it no thread.</summary>
    public MasterHost(IPEndPoint endPoint, MasterConfiguration configuration, ILogger logger, IPoller? poller = null)
    {
        _machine = new MasterStateMachine(configuration);
        _log = new MasterLog(logger);
        _frame = new OutgoingFrame(configuration.Term, configuration.Run);
        _listener = TakenPort.Listen(endPoint.Port, () => Listen(endPoint));
        try
        {
            _listener.Blocking = false;
            EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
            _poller = poller ?? IPoller.Create();
            _poller.Add(_listener, ListenerKey);
            new Thread(Loop) { IsBackground = true, Name = "collective-master" }.Start();
        }
        catch
        {
            _listener.Dispose();
            _poller?.Dispose();
            throw;
        }
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>Ends when the loop has ended and nothing listens any more: only then is the port free. Faulted by a defect only.</summary>
    public Task Completion => _completion.Task;

    public void Dispose()
    {
        _stopping = true;
        try
        {
            _listener.Shutdown(SocketShutdown.Both); // Wakes the loop.
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It has ended, or wakes by itself soon.
        }
    }

    private static Socket Listen(IPEndPoint endPoint)
    {
        var listener = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (endPoint.AddressFamily == AddressFamily.InterNetworkV6)
            {
                listener.DualMode = endPoint.Address.Equals(IPAddress.IPv6Any);
            }

            listener.Bind(endPoint);
            listener.Listen(ListenBacklog);
            return listener;
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    private void Loop()
    {
        Exception? defect = null;
        try
        {
            while (!_stopping)
            {
                Turn();
            }
        }
        catch (Exception e)
        {
            defect = e;
            _log.Failed(e);
        }

        _log.Tick(long.MaxValue); // What was left out of it so far.
        foreach (var connection in _connections.Values)
        {
            connection.Close();
        }

        _listener.Dispose();
        _poller.Dispose();
        _reserve.Dispose();
        if (defect is null)
        {
            _completion.TrySetResult();
        }
        else
        {
            _completion.TrySetException(defect);
        }
    }

    /// <summary>
    /// Reads until nothing is left to read, or for a while; then the machine handles all of it. Before a tick, all that had come by its time has been read once: that is what may
    /// prove that a peer lives.
    /// </summary>
    private void Turn()
    {
        var timeoutMs = _inputs.Count > 0 ? 0 : Math.Min(_wakeAtMs, _acceptAtMs > 0 ? _acceptAtMs : long.MaxValue) - Environment.TickCount64;
        var untilMs = long.MaxValue;
        do
        {
            ReadAll(timeoutMs);
            timeoutMs = 0;
            untilMs = Math.Min(untilMs, _nowMs + Limits.GatherMsMax);
        }
        while (_ready.Count > 0 && _inputs.Count < Limits.InputsMax && Environment.TickCount64 < untilMs && !_stopping);

        _nowMs = Environment.TickCount64;
        var due = _nowMs >= _wakeAtMs;
        if (due)
        {
            ReadAll(0);
            Look();
            _inputs.Add(new MasterInput.Tick());
        }

        Step();
        if (due)
        {
            _log.Tick(_nowMs);
            _frame.Forget();
            _memory.Trim();
            EndLingering();
        }
    }

    private void ReadAll(long timeoutMs)
    {
        _poller.Wait(timeoutMs, _ready);
        _nowMs = timeoutMs > 0 ? Environment.TickCount64 : _nowMs;
        foreach (var (key, readable, writable) in _ready)
        {
            if (key == ListenerKey)
            {
                Accept();
            }
            else if (_connections.TryGetValue(new ConnectionId(key), out var connection))
            {
                if (writable)
                {
                    connection.Flush(_nowMs);
                }

                if (readable)
                {
                    var waited = connection.WaitsForRoom;
                    connection.Read(_received, _nowMs);
                    if (connection.WaitsForRoom && !waited)
                    {
                        _waiting.Enqueue(connection);
                    }
                }
            }
        }

        if (_acceptAtMs > 0 && Environment.TickCount64 >= _acceptAtMs)
        {
            _acceptAtMs = 0;
            _poller.Watch(_listener, ListenerKey, reads: true, writes: false);
        }
    }

    private void Accept()
    {
        for (var i = 0; i < Limits.AcceptedAtOnceMax && !_stopping; i++)
        {
            Socket? socket = null;
            try
            {
                if (!_listener.Poll(0, SelectMode.SelectRead))
                {
                    return;
                }

                socket = _listener.Accept();
                var remote = EndPoints.ToPeerAddress((IPEndPoint)socket.RemoteEndPoint!);
                var local = EndPoints.ToPeerAddress((IPEndPoint)socket.LocalEndPoint!);
                var id = new ConnectionId(++_lastConnection);
                _connections.Add(id, new MasterConnection(id, socket, _poller, _memory, _inputs, _nowMs));
                _inputs.Add(new MasterInput.Connected(id, remote, new PeerId(Guid.NewGuid()), local));
            }
            catch (Exception e)
            {
                socket?.Dispose();
                if (!_stopping && !IsGone(e))
                {
                    DiscardNewest(e);
                    return;
                }
            }
        }
    }

    /// <summary>The connection had ended before it was accepted.</summary>
    private static bool IsGone(Exception e) => e is SocketException { SocketErrorCode: SocketError.NotConnected or SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.WouldBlock };

    /// <summary>Something is short: descriptors, memory. The newest connection goes, and is told why where that is possible; the peers that are there do not notice.</summary>
    private void DiscardNewest(Exception e)
    {
        _log.Shortage($"Could not take another connection, and dropped it: {e.Message} ({_connections.Count} are open): raise the limit of this process, or find what holds so many", _nowMs);
        var refusal = new Refused(ErrorCode.MasterRefused, $"the master cannot take another connection: {e.Message} ({_connections.Count} are open): raise its limits");
        _reserve.Refuse(_listener, _frame.Of(refusal).Bytes);
        _acceptAtMs = Environment.TickCount64 + Limits.AcceptPauseMs;
        _poller.Watch(_listener, ListenerKey, reads: false, writes: false);
    }

    /// <summary>With the ticks: connections whose bytes wait here are alive, and those that keep others from what they need are not kept.</summary>
    private void Look()
    {
        while (_waiting.TryPeek(out var connection) && (!connection.WaitsForRoom || connection.TryGoOn(_nowMs)))
        {
            _waiting.Dequeue();
        }

        foreach (var connection in _waiting)
        {
            _inputs.Add(new MasterInput.Heard(connection.Id));
        }

        var patienceMs = Math.Max(_machine.Configuration.HeartbeatTimeoutMs, Limits.LinkStallMsDefault);
        foreach (var connection in _connections.Values)
        {
            if (connection.HasUnsent && _nowMs - connection.TakenMs > patienceMs)
            {
                connection.End($"it has read nothing for {patienceMs / 1000.0:0.0} s");
            }

            var heldMs = _nowMs - connection.HeldSinceMs;
            if (_waiting.Count > 0 && connection.HeldBytes > 0 && heldMs > patienceMs && connection.HeldBytes / heldMs < Limits.FrameBytesPerMsMin)
            {
                connection.End($"it sent {connection.HeldBytes} bytes of a message in {heldMs / 1000.0:0.0} s, and others wait for the room that this takes");
            }
        }
    }

    private void Step()
    {
        if (_inputs.Count == 0)
        {
            return;
        }

        _batch.Clear();
        _batch.AddRange(_inputs);
        _inputs.Clear();
        foreach (var output in _machine.Step(_nowMs, _batch))
        {
            Perform(output);
        }

        foreach (var input in _batch)
        {
            if (input is MasterInput.Disconnected lost && _connections.Remove(lost.Connection, out var gone))
            {
                gone.Close();
            }
        }
    }

    private void Perform(MasterOutput output)
    {
        switch (output)
        {
            case MasterOutput.Send m when _connections.TryGetValue(m.Connection, out var connection): connection.Send(_frame.Of(m.Message), _nowMs); break;
            case MasterOutput.Close m when _connections.TryGetValue(m.Connection, out var connection):
                connection.CloseAfterSending();
                _lingering.Enqueue((connection, _nowMs + Limits.HandshakeMsMax));
                break;
            case MasterOutput.WakeAt m: _wakeAtMs = m.NowMs; break;
            case MasterOutput.Report m: _log.Write(m.Event, _nowMs); break;
        }
    }

    /// <summary>Who was told why it must go has had time to read it. Of many, the first have had it.</summary>
    private void EndLingering()
    {
        while (_lingering.TryPeek(out var item) && (_nowMs >= item.UntilMs || _lingering.Count > Limits.PeersMax))
        {
            _lingering.Dequeue();
            if (_connections.Remove(item.Connection.Id))
            {
                item.Connection.Close();
            }
        }
    }
}
