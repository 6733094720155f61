using System.Net.Sockets;
using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Hosting;

/// <summary>One control connection at the master: a thread reads frames; writing never blocks the master's loop. Nothing needs the thread pool, which the host of an in-process master may keep busy.</summary>
internal sealed class MasterConnection
{
    private const int BufferBytes = 8 * 1024;

    private readonly ConnectionId _id;
    private readonly Socket _socket;
    private readonly MasterHost _host;

    // Guards the queue and the flags between the master's loop and the continuation of a write that could not finish at once.
    private readonly Lock _gate = new();
    private readonly Queue<byte[]> _unsent = new();
    private int _unsentBytes;
    private bool _writing;
    private bool _closing;

    // Of the reading side only: whether the peer has said hello.
    private bool _introduced;

    public MasterConnection(ConnectionId id, Socket socket, MasterHost host)
    {
        _id = id;
        _socket = socket;
        _host = host;
        _socket.NoDelay = true;
    }

    public void Start() => new Thread(Read, maxStackSize: 256 * 1024) { IsBackground = true, Name = "collective-master-read" }.Start();

    /// <summary>Sends now what the socket takes now; the rest follows when it can. A peer that does not read for long is given up.</summary>
    public void Send(ReadOnlySpan<byte> frame)
    {
        lock (_gate)
        {
            if (_closing)
            {
                return;
            }

            if (!_writing && TrySendNow(frame))
            {
                return;
            }

            _unsent.Enqueue(frame.ToArray());
            _unsentBytes += frame.Length;
            if (_unsentBytes > Limits.UnsentControlBytesMax)
            {
                Close();
                return;
            }

            if (_writing)
            {
                return;
            }

            _writing = true;
        }

        var writing = WriteAsync();
        Invariant.Holds(!writing.IsFaulted);
    }

    /// <summary>What is small, and the socket has room for, leaves at once; the socket stays a blocking one, which costs less.</summary>
    private bool TrySendNow(ReadOnlySpan<byte> frame)
    {
        try
        {
            return frame.Length <= Limits.InlineBytesMax && _socket.Poll(TimeSpan.Zero, SelectMode.SelectWrite) && _socket.Send(frame) == frame.Length;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false; // The other way finds out, too.
        }
    }

    /// <summary>
    /// Ends the writing side once everything queued has left. Reading goes on until the other side closes (the host bounds that):
    /// closing with unread bytes would reset the connection, and the last message, which says why, could be lost.
    /// </summary>
    public void CloseAfterSending()
    {
        lock (_gate)
        {
            _closing = true;
            if (_writing)
            {
                return;
            }
        }

        EndWriting();
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

    public void Close()
    {
        EndWriting();
        _socket.Dispose();
    }

    /// <summary>What is large, or finds no room. Runs on the caller as long as the socket takes everything at once.</summary>
    private async Task WriteAsync()
    {
        try
        {
            while (Next() is { } frame)
            {
                for (var sent = 0; sent < frame.Length;)
                {
                    sent += await _socket.SendAsync(frame.AsMemory(sent), SocketFlags.None).ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The reading side reports the loss.
            lock (_gate)
            {
                _closing = true;
                _unsent.Clear();
            }

            Close();
        }
    }

    private byte[]? Next()
    {
        lock (_gate)
        {
            if (_unsent.TryDequeue(out var frame))
            {
                _unsentBytes -= frame.Length;
                return frame;
            }

            _writing = false;
            if (!_closing)
            {
                return null;
            }
        }

        EndWriting();
        return null;
    }

    private void Read()
    {
        var reason = "its connection closed (process ended or host gone)";
        try
        {
            ReadFrames();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            reason = $"its connection broke: {e.Message}";
        }
        finally
        {
            _host.Post(new MasterInput.Disconnected(_id, reason));
        }
    }

    /// <summary>Until the other side closes. After a violation what comes is thrown away.</summary>
    private void ReadFrames()
    {
        var (buffer, held, violated) = (new byte[BufferBytes], 0, false);
        while (_socket.Receive(buffer.AsSpan(held)) is > 0 and var received)
        {
            var left = violated ? [] : buffer.AsSpan(0, held + received);
            while (!violated && TakeFrame(ref left) is { } input)
            {
                _host.Post(input);
                violated = input is MasterInput.Violated;
            }

            held = violated ? 0 : left.Length;
            var frameBytes = held < FrameHeader.Bytes ? 0 : FrameHeader.Bytes + FrameHeader.Parse(left)!.Value.PayloadBytes;
            var room = frameBytes > BufferBytes ? new byte[frameBytes] : buffer.Length > BufferBytes ? new byte[BufferBytes] : buffer;
            left[..held].CopyTo(room);
            buffer = room;
        }
    }

    /// <summary>Takes one frame off what has arrived; null when it is not complete. Bytes that are no message become a violation.</summary>
    private MasterInput? TakeFrame(ref Span<byte> arrived)
    {
        if (arrived.Length < FrameHeader.Bytes)
        {
            return null;
        }

        if (FrameHeader.Parse(arrived) is not { } header || (!_introduced && header.PayloadBytes > Limits.ControlBytesMax))
        {
            return new MasterInput.Violated(_id, "sent bytes that are no frame of the protocol");
        }

        var bytes = FrameHeader.Bytes + header.PayloadBytes;
        if (arrived.Length < bytes)
        {
            return null;
        }

        var message = MessageCodec.Decode(header.Kind, arrived[FrameHeader.Bytes..bytes]);
        arrived = arrived[bytes..];
        _introduced |= message is Hello;
        return message is null
            ? new MasterInput.Violated(_id, $"sent a frame of kind {(int)header.Kind} that is no message of the protocol")
            : new MasterInput.Received(_id, message, header.Run);
    }
}
