using System.ComponentModel;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Collective.Hosting;

/// <summary>Linux: costs as much as there are ready sockets, not as there are sockets.</summary>
internal sealed unsafe partial class EpollPoller : IPoller
{
    private const int CloseOnExec = 0x80000, Interrupted = 4;
    private const int Added = 1, Removed = 2, Changed = 3;
    private const uint Input = 1, Output = 4;

    // struct epoll_event has no gap on x64, and one elsewhere.
    private static readonly bool s_packed = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86;
    private static readonly int s_keyAt = s_packed ? 4 : 8;
    private static readonly int s_eventBytes = s_keyAt + 8;

    private readonly int _descriptor;
    private byte[] _events = new byte[64 * s_eventBytes];
    private int _watched;

    public EpollPoller()
    {
        _descriptor = Create(CloseOnExec);
        if (_descriptor < 0)
        {
            throw new SocketException(Marshal.GetLastPInvokeError());
        }
    }

    public void Add(Socket socket, long key)
    {
        Control(Added, socket, key, Input);
        _watched++;
        if (_events.Length < _watched * s_eventBytes)
        {
            _events = new byte[2 * _events.Length]; // One wait shows all that is ready: whoever is in a tick's list of the silent really is.
        }
    }

    public void Watch(Socket socket, long key, bool reads, bool writes) => Control(Changed, socket, key, (reads ? Input : 0) | (writes ? Output : 0));

    public void Remove(Socket socket, long key)
    {
        Control(Removed, socket, key, 0); // Closing alone would not do: a forked child may hold the socket open.
        _watched--;
    }

    public void Wait(long timeoutMs, List<Readiness> ready)
    {
        ready.Clear();
        int count;
        fixed (byte* events = _events)
        {
            count = Wait(_descriptor, events, _events.Length / s_eventBytes, (int)Math.Clamp(timeoutMs, 0, int.MaxValue));
        }

        if (count < 0 && Marshal.GetLastPInvokeError() is var error && error != Interrupted)
        {
            throw new Win32Exception(error);
        }

        for (var i = 0; i < count; i++)
        {
            var found = _events.AsSpan(i * s_eventBytes, s_eventBytes);
            var what = BitConverter.ToUInt32(found);
            ready.Add(new Readiness(BitConverter.ToInt64(found[s_keyAt..]), Readable: (what & ~Output) != 0, Writable: (what & Output) != 0));
        }
    }

    public void Dispose() => _ = Close(_descriptor);

    private void Control(int operation, Socket socket, long key, uint what)
    {
        var change = stackalloc byte[16];
        BitConverter.TryWriteBytes(new Span<byte>(change, 4), what);
        BitConverter.TryWriteBytes(new Span<byte>(change + s_keyAt, 8), key);
        if (Control(_descriptor, operation, (int)socket.SafeHandle.DangerousGetHandle(), change) < 0 && operation != Removed)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    private static partial int Create(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    private static partial int Control(int descriptor, int operation, int socket, byte* change);

    [LibraryImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    private static partial int Wait(int descriptor, byte* events, int eventsMax, int timeoutMs);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
