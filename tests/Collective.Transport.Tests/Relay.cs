using System.Net;
using System.Net.Sockets;
using Collective.Protocol;
using Collective.Transport.Tcp;

namespace Collective.Transport.Tests;

/// <summary>A wire in front of a TCP transport, so that a test can cut single connections which both ends would like to keep.</summary>
internal sealed class Relay : IDisposable
{
    private readonly Socket _listener;
    private readonly PeerAddress _target;

    // Guards the list between the accepting thread and the test.
    private readonly Lock _gate = new();
    private readonly List<(Socket Near, Socket Far)> _connections = [];

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
            lock (_gate)
            {
                _connections.Add((near, far));
            }

            StartThread(() => Pump(near, far), near, far);
            StartThread(() => Pump(far, near), near, far);
        }
    }

    private static void Pump(Socket from, Socket to)
    {
        var buffer = new byte[64 * 1024];
        for (int count; (count = from.Receive(buffer)) > 0;)
        {
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
