using System.Buffers.Binary;
using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>Accepts connections, one thread each, reads the first record and hands them to the kind that its magic names.</summary>
internal sealed class TcpAcceptor : IDisposable
{
    private readonly Socket _listener;
    private readonly ITransportEvents _events;
    private readonly Dictionary<uint, IInboundKind> _kinds;
    private readonly Func<bool> _needed;

    // Guards the connections and who this peer is between the accepting thread, the connections' threads and the peer's loop.
    private readonly object _gate = new();
    private readonly List<InboundConnection> _connections = [];
    private (LinkKey Key, PeerId Id)? _self;
    private bool _closed;

    // Of the accepting thread: since when somebody waits whom it cannot accept.
    private long? _shortSinceMs;

    /// <param name="listener">Listens already.</param>
    /// <param name="events">Told when this peer cannot accept those it must.</param>
    /// <param name="needed">Whether a member waits to be accepted: then it is this peer's fault when it cannot be.</param>
    /// <param name="kinds">What connections may be for.</param>
    public TcpAcceptor(Socket listener, ITransportEvents events, Func<bool> needed, params IInboundKind[] kinds)
    {
        _listener = listener;
        _events = events;
        _needed = needed;
        _kinds = kinds.ToDictionary(k => k.Magic);
        new Thread(AcceptLoop, maxStackSize: 256 * 1024) { IsBackground = true, Name = "collective-accept" }.Start();
    }

    /// <summary>This peer has learned the key of its run and its id.</summary>
    public void SetSelf(LinkKey key, PeerId id)
    {
        lock (_gate)
        {
            _self = (key, id);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>The master may tell another peer of this one before it tells this one of itself; null when that does not come soon.</summary>
    public (LinkKey Key, PeerId Id)? AwaitSelf()
    {
        lock (_gate)
        {
            var deadline = Environment.TickCount64 + Limits.HandshakeMsMax;
            while (_self is null && !_closed && Environment.TickCount64 < deadline)
            {
                Monitor.Wait(_gate, Limits.HandshakeMsMax);
            }

            return _self;
        }
    }

    public bool TryAdmit(InboundConnection connection)
    {
        lock (_gate)
        {
            var kind = connection.Kind!;
            connection.Admitted |= !_closed && _connections.Contains(connection) && _connections.Count(c => c.Admitted && c.Kind == kind) < kind.ConnectionsMax;
            return connection.Admitted;
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        lock (_gate)
        {
            _closed = true;
            _connections.ForEach(c => c.Socket.Dispose());
            Monitor.PulseAll(_gate);
        }
    }

    private void AcceptLoop()
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = _listener.Accept();
                _shortSinceMs = null;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                if (!GoOn(e))
                {
                    return;
                }

                continue; // The connection was gone before it was accepted, or it waits.
            }

            if (Add(socket) is { } connection && !TryServe(connection))
            {
                return;
            }
        }
    }

    /// <summary>Starts the connection's thread, patiently. False when this peer is closed.</summary>
    private bool TryServe(InboundConnection connection)
    {
        while (true)
        {
            try
            {
                new Thread(() => Serve(connection), maxStackSize: 256 * 1024) { IsBackground = true, Name = "collective-receive" }.Start();
                _shortSinceMs = null;
                return true;
            }
            catch (OutOfMemoryException e)
            {
                var goesOn = GoOn(e);
                if (!goesOn || _shortSinceMs is null)
                {
                    Forget(connection); // Its opener sees it closed, and the host lives.
                    return goesOn;
                }
            }
        }
    }

    /// <summary>
    /// After a failure, which may be a shortage: it may pass, and what waits must not make this thread spin. One that lasts while somebody waits, and a member is due, is told.
    /// False when this peer is closed.
    /// </summary>
    private bool GoOn(Exception failure)
    {
        var isOver = failure is ObjectDisposedException;
        var isShort = !isOver && Shortage.Of(failure) is not null;
        if (isShort)
        {
            var now = Environment.TickCount64;
            var waits = failure is OutOfMemoryException || Waits(); // Without a descriptor accepting fails also when nobody comes.
            _shortSinceMs = waits ? _shortSinceMs ?? now : null;
            if (now - _shortSinceMs > Limits.ShortageMsMax)
            {
                _shortSinceMs = null;
                if (_needed())
                {
                    _events.Failed(failure);
                }
            }
        }

        lock (_gate)
        {
            if (!_closed && isShort)
            {
                Monitor.Wait(_gate, Limits.AcceptPauseMs);
            }

            return !_closed && !isOver;
        }
    }

    private bool Waits()
    {
        try
        {
            return _listener.Poll(0, SelectMode.SelectRead);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Bounds strangers: the oldest one makes room.</summary>
    private InboundConnection? Add(Socket socket)
    {
        lock (_gate)
        {
            var strangers = _connections.Where(c => !c.Admitted).ToList();
            if (strangers.Count >= Limits.StrangersMax)
            {
                var oldest = strangers.MinBy(c => c.AcceptedMs)!;
                _connections.Remove(oldest); // Now, not when its thread ends: in a burst it would be the oldest again.
                oldest.Socket.Dispose();
            }

            if (_closed)
            {
                socket.Dispose();
                return null;
            }

            var connection = new InboundConnection(this, socket);
            _connections.Add(connection);
            return connection;
        }
    }

    private void Serve(InboundConnection connection)
    {
        try
        {
            var socket = connection.Socket;
            socket.NoDelay = true;
            socket.ReceiveTimeout = Limits.HandshakeMsMax;
            socket.SendTimeout = Limits.HandshakeMsMax;
            var hello = GC.AllocateUninitializedArray<byte>(LinkHello.Bytes);
            if (socket.ReceiveAll(hello) && _kinds.TryGetValue(BinaryPrimitives.ReadUInt32LittleEndian(hello), out var kind))
            {
                connection.Kind = kind;
                kind.Serve(connection, hello);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It ended.
        }
        catch (Exception e)
        {
            _events.Failed(e);
        }
        finally
        {
            Forget(connection);
        }
    }

    private void Forget(InboundConnection connection)
    {
        lock (_gate)
        {
            _connections.Remove(connection);
        }

        connection.Socket.Dispose();
    }
}
