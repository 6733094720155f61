using System.Net.Sockets;

namespace Collective.Hosting;

/// <summary>Asks the system about all sockets each time: for systems without epoll.</summary>
internal sealed class SelectPoller : IPoller
{
    /// <summary>Closing a socket wakes nobody everywhere, so look at least so often whether there is an end.</summary>
    private const int WaitMs = 100;

    private readonly Dictionary<Socket, (long Key, bool Reads, bool Writes)> _sockets = [];
    private readonly List<Socket> _readable = [];
    private readonly List<Socket> _writable = [];

    public void Add(Socket socket, long key) => Watch(socket, key, reads: true, writes: false);

    public void Watch(Socket socket, long key, bool reads, bool writes) => _sockets[socket] = (key, reads, writes);

    public void Remove(Socket socket, long key) => _sockets.Remove(socket);

    public void Wait(long timeoutMs, List<Readiness> ready)
    {
        ready.Clear();
        _readable.Clear();
        _writable.Clear();
        foreach (var (socket, (_, reads, writes)) in _sockets)
        {
            if (reads)
            {
                _readable.Add(socket);
            }

            if (writes)
            {
                _writable.Add(socket);
            }
        }

        var pause = TimeSpan.FromMilliseconds(Math.Clamp(timeoutMs, 0, WaitMs));
        if (_readable.Count + _writable.Count == 0)
        {
            lock (_sockets) // Guards nothing: only to wait.
            {
                Monitor.Wait(_sockets, pause);
            }

            return;
        }

        Socket.Select(_readable, _writable, null, pause);
        foreach (var socket in _readable)
        {
            ready.Add(new Readiness(_sockets[socket].Key, Readable: true, Writable: false));
        }

        foreach (var socket in _writable)
        {
            ready.Add(new Readiness(_sockets[socket].Key, Readable: false, Writable: true));
        }
    }

    public void Dispose() => _sockets.Clear();
}
