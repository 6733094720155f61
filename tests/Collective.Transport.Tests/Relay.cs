using System.Net;
using System.Net.Sockets;
using Collective.Protocol;
using Collective.Transport.Tcp;
using NUnit.Framework;

namespace Collective.Transport.Tests;

/// <summary>A wire in front of a TCP transport, so that a test can cut single connections which both ends would like to keep.</summary>
internal sealed class Relay : IDisposable
{
    private readonly Socket _listener;
    private readonly PeerAddress _target;

    // Guards the list between the accepting thread and the test.
    private readonly Lock _gate = new();
    private readonly List<(Socket Near, Socket Far)> _connections = [];

    // Guards what is kept between the pumping threads and the test.
    private readonly object _kept = new();
    private int _swallowing;
    private long _swallowed;

    public Relay(PeerAddress target)
    {
        _target = target;
        _listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(256);
        Address = EndPoints.ToPeerAddress((IPEndPoint)_listener.LocalEndPoint!);
        StartThread(Accept);
    }

    public PeerAddress Address { get; }

    /// <summary>Connections that were made so far.</summary>
    public int Made
    {
        get
        {
            lock (_gate)
            {
                return _connections.Count;
            }
        }
    }

    /// <summary>Resets one connection.</summary>
    public void Cut(int connection)
    {
        (Socket Near, Socket Far) pair;
        lock (_gate)
        {
            pair = _connections[connection];
        }

        Reset(pair.Near);
        Reset(pair.Far);
    }

    public void CutAll()
    {
        for (var i = Made - 1; i >= 0; i--)
        {
            Cut(i);
        }
    }

    /// <summary>Takes what comes on the connections that there are, and keeps it.</summary>
    public void Swallow()
    {
        lock (_kept)
        {
            _swallowing = Made;
        }
    }

    /// <summary>Waits until so many bytes have been kept.</summary>
    public void ExpectSwallowed(long bytes)
    {
        lock (_kept)
        {
            while (_swallowed < bytes)
            {
                Assert.That(Monitor.Wait(_kept, Peer.Patience), Is.True, $"{_swallowed} of {bytes} bytes came");
            }
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        CutAll();
    }

    private void Accept()
    {
        while (true)
        {
            var near = _listener.Accept();
            var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            far.Connect(_target.ToEndPoint());
            near.NoDelay = true;
            int index;
            lock (_gate)
            {
                index = _connections.Count;
                _connections.Add((near, far));
            }

            StartThread(() => Pump(index, near, far), near, far);
            StartThread(() => Pump(index, far, near), near, far);
        }
    }

    private void Pump(int index, Socket from, Socket to)
    {
        var buffer = new byte[64 * 1024];
        for (int count; (count = from.Receive(buffer)) > 0;)
        {
            lock (_kept)
            {
                if (index < _swallowing)
                {
                    _swallowed += count;
                    Monitor.PulseAll(_kept);
                    continue;
                }
            }

            to.SendAll(buffer.AsSpan(0, count));
        }

        to.Shutdown(SocketShutdown.Send);
    }

    /// <summary>A connection that breaks at one end breaks at the other.</summary>
    private static void StartThread(Action action, params Socket[] broken) => new Thread(() =>
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Array.ForEach(broken, Reset);
        }
    })
    { IsBackground = true, Name = "relay" }.Start();

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(enable: true, seconds: 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Closed already.
        }

        socket.Dispose();
    }
}
