using System.Net.Sockets;

namespace Collective.Hosting;

/// <summary>A socket that can be read, written or both without waiting, by the key under which it was added.</summary>
internal readonly record struct Readiness(long Key, bool Readable, bool Writable);

/// <summary>Tells one thread which of many sockets have something for it. Without the thread pool, which the host of an in-process master may keep busy.</summary>
internal interface IPoller : IDisposable
{
    /// <summary>The poller of this system.</summary>
    static IPoller Create() => OperatingSystem.IsLinux() ? new EpollPoller() : new SelectPoller();

    /// <summary>From now on reports when the socket can be read.</summary>
    void Add(Socket socket, long key);

    /// <summary>Changes what is reported. The end of a connection is reported in any case.</summary>
    void Watch(Socket socket, long key, bool reads, bool writes);

    /// <summary>Before the socket is closed.</summary>
    void Remove(Socket socket, long key);

    /// <summary>Waits until a socket is ready or the time is over, and lists those that are ready.</summary>
    void Wait(long timeoutMs, List<Readiness> ready);
}
