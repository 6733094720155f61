using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Collective.Coordination;
using Collective.Protocol;
using Collective.Transport.Tcp;
using Microsoft.Extensions.Logging;

namespace Collective.Hosting;

/// <summary>Runs one <see cref="MasterStateMachine"/> on a listening socket: one thread owns it, connections post inputs to it.</summary>
internal sealed class MasterHost : IDisposable
{
    private const int ListenBacklog = 1024;

    private readonly MasterStateMachine _machine;
    private readonly ILogger _logger;
    private readonly Socket _listener;
    private readonly Mailbox<MasterInput> _inputs = new(Limits.InputsMax);
    private readonly ConcurrentDictionary<ConnectionId, MasterConnection> _connections = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private byte[] _frame = GC.AllocateUninitializedArray<byte>(FrameHeader.Bytes + Limits.ControlBytesMax);
    private readonly Queue<(MasterConnection Connection, long UntilMs)> _lingering = new();
    private Message? _encoded;
    private int _encodedBytes;
    private long _wakeAtMs;

    /// <summary>Binds and starts. Throws <see cref="SocketException"/> when it cannot listen there.</summary>
    public MasterHost(IPEndPoint endPoint, MasterConfiguration configuration, ILogger logger)
    {
        _machine = new MasterStateMachine(configuration);
        _logger = logger;
        _listener = TakenPort.Listen(endPoint.Port, () => Listen(endPoint));
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        new Thread(Loop) { IsBackground = true, Name = "collective-master" }.Start();
        Accepting = AcceptAsync();
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>Ends when the loop has ended; faulted by a defect only.</summary>
    public Task Completion => _completion.Task;

    /// <summary>Ends when nothing listens any more: only then is the port free.</summary>
    public Task Accepting { get; }

    public void Dispose()
    {
        _stopping.Cancel();
        _inputs.Close();
        _listener.Dispose();
    }

    /// <summary>Hands an input to the loop, waiting while it is behind.</summary>
    public void Post(MasterInput input) => _inputs.Post(input);

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

    private async Task AcceptAsync()
    {
        var next = 0L;
        while (!_stopping.IsCancellationRequested)
        {
            Socket? socket = null;
            try
            {
                socket = await _listener.AcceptAsync(_stopping.Token).ConfigureAwait(false);
                var id = new ConnectionId(++next);
                var remote = EndPoints.ToPeerAddress((IPEndPoint)socket.RemoteEndPoint!);
                var connection = new MasterConnection(id, socket, this);
                _connections[id] = connection;
                var local = EndPoints.ToPeerAddress((IPEndPoint)socket.LocalEndPoint!);
                Post(new MasterInput.Connected(id, remote, new PeerId(Guid.NewGuid()), local));
                connection.Start();
                if (_stopping.IsCancellationRequested)
                {
                    connection.Close(); // The loop, which closes all others at its end, may have missed it.
                }
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e)
            {
                // The connection was gone before it was accepted, or descriptors are short.
                socket?.Dispose();
                _logger.LogWarning("Could not accept a connection: {Reason}", e.Message);
                using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(Limits.AcceptPauseMs));
                await pause.WaitForNextTickAsync(CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                _logger.LogCritical(e, "The master cannot accept connections any more");
                _completion.TrySetException(e);
                Dispose();
                return;
            }
        }
    }

    private void Loop()
    {
        try
        {
            while (!_stopping.IsCancellationRequested)
            {
                if (_inputs.TryTake(out var input, _wakeAtMs - Environment.TickCount64))
                {
                    Step(input);
                }

                if (Environment.TickCount64 >= _wakeAtMs)
                {
                    Step(new MasterInput.Tick());
                    EndLingering();
                }
            }

            _completion.TrySetResult();
        }
        catch (Exception e)
        {
            _logger.LogCritical(e, "The master failed");
            _completion.TrySetException(e);
        }
        finally
        {
            _listener.Dispose();
            _stopping.Cancel();
            foreach (var connection in _connections.Values)
            {
                connection.Close();
            }
        }
    }

    private void Step(MasterInput input)
    {
        if (input is MasterInput.Disconnected lost && _connections.TryRemove(lost.Connection, out var gone))
        {
            gone.Close();
        }

        foreach (var output in _machine.Step(Environment.TickCount64, input))
        {
            Perform(output);
        }

        _encoded = null;
    }

    private void Perform(MasterOutput output)
    {
        switch (output)
        {
            case MasterOutput.Send m when _connections.TryGetValue(m.Connection, out var connection): connection.Send(Encode(m.Message)); break;
            case MasterOutput.Close m when _connections.TryGetValue(m.Connection, out var connection):
                connection.CloseAfterSending();
                _lingering.Enqueue((connection, Environment.TickCount64 + Limits.HandshakeMsMax));
                break;
            case MasterOutput.WakeAt m: _wakeAtMs = m.NowMs; break;
            case MasterOutput.Report m: Log(m.Event); break;
        }
    }

    /// <summary>Who was told why it must go has had time to read it.</summary>
    private void EndLingering()
    {
        while (_lingering.TryPeek(out var item) && Environment.TickCount64 >= item.UntilMs)
        {
            _lingering.Dequeue().Connection.Close();
        }
    }

    /// <summary>One message often goes to a whole group: encoded once.</summary>
    private ReadOnlySpan<byte> Encode(Message message)
    {
        if (!ReferenceEquals(message, _encoded))
        {
            var configuration = _machine.Configuration;
            if (MessageCodec.EncodedBytesMax(message) is var bytesMax && bytesMax > _frame.Length)
            {
                _frame = GC.AllocateUninitializedArray<byte>(bytesMax);
            }

            _encodedBytes = MessageCodec.Encode(message, configuration.Term, configuration.Run, _frame);
            _encoded = message;
        }

        return _frame.AsSpan(0, _encodedBytes);
    }

    private void Log(MasterEvent @event)
    {
        var level = @event.Kind switch
        {
            MasterEventKind.PeerPending or MasterEventKind.PeerAdmitted or MasterEventKind.PeerLeft or MasterEventKind.PeersWait => LogLevel.Information,
            MasterEventKind.EpochOpened or MasterEventKind.EpochStands or MasterEventKind.TopologyOptimized or MasterEventKind.SharedStateSynchronised => LogLevel.Information,
            MasterEventKind.AttemptAborted => LogLevel.Debug,
            _ => LogLevel.Warning,
        };
        _logger.Log(level, new EventId((int)@event.Kind, @event.Kind.ToString()), "{Event}", @event.Text);
    }
}
