using System.Net;
using System.Net.Sockets;
using Collective.Coordination;
using Collective.Protocol;
using Collective.Transport;
using Collective.Transport.Tcp;

namespace Collective.Hosting;

/// <summary>A peer's connection to its master: a thread that connects and then reads frames; the peer's loop writes.</summary>
internal sealed class ControlConnection(
    PeerHostOptions options,
    Func<IPAddress, PeerInput.Lost?> connected,
    Action<FrameHeader, Message> received,
    Action<PeerInput> post) : IDisposable
{
    private const int PayloadBytesKept = 4096;

    // Guards the socket between the connecting thread and who disposes.
    private readonly Lock _gate = new();
    private Socket? _socket;
    private volatile bool _disposed;
    private bool _answered;
    private Thread? _thread;
    private long _heardMs = long.MinValue;

    /// <summary>When bytes of the master came last: a message that is still arriving is a sign of life.</summary>
    public long HeardMs => Volatile.Read(ref _heardMs);

    /// <summary>As one writes it: an IPv6 address in brackets.</summary>
    private string Master => options.MasterHost.Contains(':') ? $"[{options.MasterHost}]:{options.MasterPort}" : $"{options.MasterHost}:{options.MasterPort}";

    /// <summary>Throws <see cref="OutOfMemoryException"/> when the system gives no thread.</summary>
    public void Start()
    {
        var thread = new Thread(Run, maxStackSize: 1024 * 1024) { IsBackground = true, Name = "collective-control" };
        thread.Start();
        _thread = thread;
    }

    public void Send(ReadOnlySpan<byte> frame)
    {
        if (_socket is { } socket)
        {
            // In pieces, so that the timeout is that of a piece: a large vote takes long on a slow network.
            for (var rest = frame; !rest.IsEmpty;)
            {
                var piece = rest[..Math.Min(rest.Length, Limits.FramePieceBytes)];
                socket.SendAll(piece);
                rest = rest[piece.Length..];
            }
        }
    }

    /// <summary>After a failed write: what has arrived can still be read, and then the reading side finds the end.</summary>
    public void EndSending()
    {
        try
        {
            if (_socket is { } socket)
            {
                socket.Shutdown(SocketShutdown.Send);
                socket.ReceiveTimeout = Limits.LeaveMsMax;
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Broken altogether: the reading side knows.
        }
    }

    /// <summary>Waits, but not for long, until the master has read what was sent, and has closed the connection.</summary>
    public void AwaitEnd()
    {
        EndSending();
        _thread?.Join(Limits.LeaveMsMax);
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _socket?.Dispose();
        }
    }

    private void Run()
    {
        var lost = new PeerInput.Lost(ErrorCode.MasterLost, "the master closed the connection");
        try
        {
            if (Connect() is not { } socket)
            {
                return;
            }

            lost = connected(((IPEndPoint)socket.LocalEndPoint!).Address) ?? ReadFrames(socket) ?? lost;
        }
        catch (Exception e) when (Shortage.Of(e) is { } reason)
        {
            lost = new PeerInput.Lost(ErrorCode.LimitExceeded, $"this peer cannot connect: {reason}");
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            lost = _answered ? new PeerInput.Lost(ErrorCode.MasterLost, $"the connection to the master was lost: {e.Message}") : NotAMaster();
        }
        catch (Exception e)
        {
            lost = new PeerInput.Lost(ErrorCode.InternalError, e.Message);
        }

        post(lost);
    }

    /// <summary>Tries every address of the master, all of them within the time to connect; null (and an input) when none answers. Throws when this process cannot try.</summary>
    private Socket? Connect()
    {
        var failures = new List<string>();
        try
        {
            var addresses = options.Resolve(options.MasterHost);
            var deadline = Environment.TickCount64 + (long)options.ConnectTimeout.TotalMilliseconds;
            for (var i = 0; i < addresses.Length; i++)
            {
                try
                {
                    // What one address does not use is left to the others.
                    var share = (deadline - Environment.TickCount64) / (addresses.Length - i);
                    return Connect(new IPEndPoint(addresses[i], options.MasterPort), TimeSpan.FromMilliseconds(share));
                }
                catch (SocketException e) when (Shortage.Of(e) is null)
                {
                    failures.Add(addresses.Length == 1 && $"{addresses[i]}" == options.MasterHost ? Dialing.Reason(e) : $"{addresses[i]}: {Dialing.Reason(e)}");
                }
            }
        }
        catch (Exception e) when ((e is SocketException && Shortage.Of(e) is null) || e is ArgumentException)
        {
            failures.Add(e.Message);
        }

        if (Shortage.OfDescriptors() is { } shortage)
        {
            post(new PeerInput.Lost(ErrorCode.LimitExceeded, $"this peer cannot connect: {shortage}"));
            return null;
        }

        var failure = failures.Count == 0 ? "its name has no address" : string.Join("; ", failures);
        post(new PeerInput.Lost(ErrorCode.MasterUnreachable, $"no master answers at {Master} ({failure}): check that it runs, its address and port, and the firewall"));
        return null;
    }

    private Socket Connect(IPEndPoint endPoint, TimeSpan timeout)
    {
        var socket = Dialing.NewSocket(endPoint.AddressFamily);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _socket = socket; // So that disposing ends the attempt, too.
        }

        try
        {
            Dialing.Connect(socket, endPoint, timeout);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Reads until the connection ends; an input when the other side is no master.</summary>
    private PeerInput.Lost? ReadFrames(Socket socket)
    {
        var header = new byte[FrameHeader.Bytes];
        var payload = new byte[PayloadBytesKept];
        socket.SendTimeout = (int)options.ConnectTimeout.TotalMilliseconds;
        socket.ReceiveTimeout = (int)options.ConnectTimeout.TotalMilliseconds;
        while (socket.ReceiveAll(header))
        {
            Hear();
            if (FrameHeader.Parse(header) is not { } frame)
            {
                return NotAMaster();
            }

            if (!ReceivePayload(socket, ref payload, frame.PayloadBytes) || MessageCodec.Decode(frame.Kind, payload.AsSpan(0, frame.PayloadBytes)) is not { } message)
            {
                return NotAMaster();
            }

            if (!_answered)
            {
                _answered = true;
                socket.ReceiveTimeout = 0; // From here on heartbeats tell.
            }

            received(frame, message);
            payload = payload.Length > PayloadBytesKept ? new byte[PayloadBytesKept] : payload;
        }

        return _answered ? null : NotAMaster();
    }

    /// <summary>Takes memory as the payload comes, and says that the master lives with each piece. False when the connection ends before.</summary>
    private bool ReceivePayload(Socket socket, ref byte[] payload, int bytes)
    {
        for (var received = 0; received < bytes;)
        {
            if (received == payload.Length)
            {
                Array.Resize(ref payload, Math.Min(bytes, 2 * payload.Length));
            }

            var count = socket.Receive(payload.AsSpan(received, Math.Min(bytes, payload.Length) - received));
            if (count == 0)
            {
                return false;
            }

            received += count;
            Hear();
        }

        return true;
    }

    private void Hear() => Volatile.Write(ref _heardMs, Environment.TickCount64);

    private PeerInput.Lost NotAMaster() => _answered
        ? new PeerInput.Lost(ErrorCode.MasterLost, "the master sent bytes that are no message of the protocol")
        : new PeerInput.Lost(ErrorCode.MasterUnreachable, $"what listens at {Master} does not answer as a Collective master of this version: check the address");
}
