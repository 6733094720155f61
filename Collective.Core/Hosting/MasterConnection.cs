using System.Net.Sockets;
using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Hosting;

/// <summary>One control connection at the master. Owned by the master's thread, which never waits for it: what the socket does not take now is kept until it does.</summary>
internal sealed class MasterConnection
{
    private readonly ConnectionId _id;
    private readonly Socket _socket;
    private readonly IPoller _poller;
    private readonly List<MasterInput> _inputs;
    private readonly IncomingFrames _incoming;
    private readonly Queue<byte[]> _unsent = new();
    private int _sentOfFirst;
    private int _unsentBytes;
    private bool _reads = true;
    private bool _writes;
    private bool _closing;
    private bool _broken;
    private bool _ended;

    /// <summary>Inputs of this connection go to the list.</summary>
    public MasterConnection(ConnectionId id, Socket socket, IPoller poller, FrameMemory memory, List<MasterInput> inputs, long nowMs)
    {
        _id = id;
        _socket = socket;
        _poller = poller;
        _inputs = inputs;
        _incoming = new IncomingFrames(id, memory);
        HeldSinceMs = TakenMs = nowMs;
        _socket.Blocking = false;
        _socket.NoDelay = true;
        _poller.Add(socket, id.Value);
    }

    public ConnectionId Id => _id;

    /// <summary>It stands in a large frame, and the room for that is taken.</summary>
    public bool WaitsForRoom => _incoming.Waits && !_ended;

    /// <summary>What has come of a large frame for which there was room, and since when.</summary>
    public int HeldBytes => _incoming.HeldOfLarge;

    public long HeldSinceMs { get; private set; }

    /// <summary>Whether something waits to be sent, and when the other side last took something.</summary>
    public bool HasUnsent => _unsent.Count > 0;

    public long TakenMs { get; private set; }

    /// <summary>Reads once what has arrived. Whatever goes wrong is the end of this connection, and of nothing else.</summary>
    public void Read(Span<byte> buffer, long nowMs)
    {
        if (_ended)
        {
            return;
        }

        try
        {
            var received = _socket.Receive(buffer, SocketFlags.None, out var error);
            if (error != SocketError.Success && error != SocketError.WouldBlock)
            {
                End($"its connection broke: {new SocketException((int)error).Message}");
            }
            else if (error == SocketError.Success && received == 0)
            {
                End("its connection closed (process ended or host gone)");
            }
            else if (received > 0)
            {
                var held = HeldBytes;
                _incoming.Take(buffer[..received], _inputs);
                HeldSinceMs = held > 0 && HeldBytes > held ? HeldSinceMs : nowMs;
                Watch();
            }
        }
        catch (Exception e)
        {
            End($"its connection broke: {e.Message}");
        }
    }

    /// <summary>Goes on reading when there is room for the frame by now.</summary>
    public bool TryGoOn(long nowMs)
    {
        if (!_incoming.TryGoOn())
        {
            return false;
        }

        HeldSinceMs = nowMs;
        Watch();
        return true;
    }

    /// <summary>Sends now what the socket takes now; the rest follows when it can. A peer that does not read for long is given up.</summary>
    public void Send(OutgoingFrame frame, long nowMs)
    {
        if (_closing || _broken || _ended)
        {
            return;
        }

        var sent = _unsent.Count > 0 ? 0 : SendNow(frame.Bytes);
        if (sent == frame.Bytes.Length || _broken)
        {
            return;
        }

        TakenMs = _unsent.Count > 0 ? TakenMs : nowMs;
        _sentOfFirst = _unsent.Count > 0 ? _sentOfFirst : sent;
        _unsent.Enqueue(frame.Copy);
        _unsentBytes += frame.Bytes.Length;
        Watch();
        if (_unsentBytes > Limits.UnsentControlBytesMax)
        {
            End($"it does not read: {_unsentBytes} bytes wait for it");
        }
    }

    /// <summary>The socket takes more.</summary>
    public void Flush(long nowMs)
    {
        while (_unsent.TryPeek(out var frame) && !_broken && !_ended)
        {
            var sent = SendNow(frame.AsSpan(_sentOfFirst));
            TakenMs = sent > 0 ? nowMs : TakenMs;
            _sentOfFirst += sent;
            if (_sentOfFirst < frame.Length)
            {
                break;
            }

            _unsentBytes -= _unsent.Dequeue().Length;
            _sentOfFirst = 0;
        }

        if (_unsent.Count == 0 && _closing)
        {
            EndWriting();
        }

        Watch();
    }

    /// <summary>
    /// Ends the writing side once everything queued has left. Reading goes on until the other side closes (the host bounds that):
    /// closing with unread bytes would reset the connection, and the last message, which says why, could be lost.
    /// </summary>
    public void CloseAfterSending()
    {
        _closing = true;
        _incoming.Ignore();
        if (_unsent.Count == 0)
        {
            EndWriting();
        }

        Watch();
    }

    public void Close()
    {
        StopListening();
        _unsent.Clear();
        EndWriting();
        _socket.Dispose();
    }

    /// <summary>For the machine it is gone; the host closes it when it has said so.</summary>
    public void End(string reason)
    {
        if (!_ended)
        {
            StopListening();
            _inputs.Add(new MasterInput.Disconnected(_id, reason));
        }
    }

    private void StopListening()
    {
        if (!_ended)
        {
            _ended = true;
            _incoming.Ignore();
            _poller.Remove(_socket, _id.Value);
        }
    }

    private int SendNow(ReadOnlySpan<byte> bytes)
    {
        try
        {
            var sent = _socket.Send(bytes, SocketFlags.None, out var error);
            if (error is SocketError.Success or SocketError.WouldBlock)
            {
                return Math.Max(0, sent);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // As any other error.
        }

        _broken = true; // The reading side finds out, after it has read what has come.
        _unsent.Clear();
        _unsentBytes = _sentOfFirst = 0;
        return 0;
    }

    private void Watch()
    {
        var (reads, writes) = (!_incoming.Waits, _unsent.Count > 0);
        if (!_ended && (reads != _reads || writes != _writes))
        {
            (_reads, _writes) = (reads, writes);
            _poller.Watch(_socket, _id.Value, reads, writes);
        }
    }

    private void EndWriting()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Already closed by the other side.
        }
    }
}
