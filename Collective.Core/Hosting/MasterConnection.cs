using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Hosting;

/// <summary>One control connection at the master: reads frames from a pipe, writes without ever blocking the master's loop.</summary>
internal sealed class MasterConnection
{
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

    public void Start() => _ = Task.Run(ReadAsync);

    /// <summary>Sends now what the socket takes now; the rest follows when it can. A peer that does not read for long is given up.</summary>
    public void Send(ReadOnlySpan<byte> frame)
    {
        lock (_gate)
        {
            if (_closing)
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

    /// <summary>Runs on the caller as long as the socket takes everything at once, which is nearly always.</summary>
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

    private async Task ReadAsync()
    {
        var reason = "its connection closed (process ended or host gone)";
        var violated = false;
        var reader = PipeReader.Create(new NetworkStream(_socket, ownsSocket: false));
        try
        {
            while (true)
            {
                var result = await reader.ReadAsync().ConfigureAwait(false);
                var buffer = result.Buffer;
                while (!violated && TryReadFrame(ref buffer, out var input))
                {
                    _host.Post(input);
                    violated = input is MasterInput.Violated;
                }

                reader.AdvanceTo(violated ? buffer.End : buffer.Start, buffer.End);
                if (result.IsCompleted)
                {
                    break;
                }
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            reason = $"its connection broke: {(e.InnerException ?? e).Message}";
        }
        finally
        {
            await reader.CompleteAsync().ConfigureAwait(false);
            _host.Post(new MasterInput.Disconnected(_id, reason));
        }
    }

    /// <summary>Takes one frame off the buffer. Bytes that are no message become a violation.</summary>
    private bool TryReadFrame(ref ReadOnlySequence<byte> buffer, out MasterInput input)
    {
        input = null!;
        if (buffer.Length < FrameHeader.Bytes)
        {
            return false;
        }

        Span<byte> headerBytes = stackalloc byte[FrameHeader.Bytes];
        buffer.Slice(0, FrameHeader.Bytes).CopyTo(headerBytes);
        if (FrameHeader.Parse(headerBytes) is not { } header || (!_introduced && header.PayloadBytes > Limits.ControlBytesMax))
        {
            input = new MasterInput.Violated(_id, "sent bytes that are no frame of the protocol");
            return true;
        }

        if (buffer.Length < FrameHeader.Bytes + header.PayloadBytes)
        {
            return false;
        }

        var payload = buffer.Slice(FrameHeader.Bytes, header.PayloadBytes);
        var message = MessageCodec.Decode(header.Kind, payload.IsSingleSegment ? payload.FirstSpan : payload.ToArray());
        buffer = buffer.Slice(payload.End);
        _introduced |= message is Hello;
        input = message is null
            ? new MasterInput.Violated(_id, $"sent a frame of kind {(int)header.Kind} that is no message of the protocol")
            : new MasterInput.Received(_id, message, header.Run);
        return true;
    }
}
