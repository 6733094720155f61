using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Collective.EndToEnd.Peer;

/// <summary>Does harm to this process exactly at a protocol point.</summary>
internal sealed partial class Faults(Settings settings, int masterPort)
{
    private const int Sigkill = 9;
    private const int Sigstop = 19;
    private const int ShutReadAndWrite = 2;
    private const int DescriptorsMax = 1024;

    private int _untilDeath = settings.DieAt?.Occurrence ?? 0;
    private int _untilStop = settings.StopAt?.Occurrence ?? 0;
    private int _untilBreak = settings.BreakLinksAt?.Occurrence ?? 0;
    private volatile bool _armed = !settings.WaitForGo;
    private volatile bool _reportsFirst;
    private readonly ManualResetEvent _never = new(false);
    private readonly ManualResetEvent _released = new(false);

    /// <summary>From now on points count.</summary>
    public void Arm() => _armed = true;

    /// <summary>Who is held goes on.</summary>
    public void Release() => _released.Set();

    private bool DiesReportingALink => settings.DieAt?.Point.EndsWith("LinkFailed", StringComparison.Ordinal) == true;

    /// <summary>Called by the library, on any of its threads, at each point.</summary>
    public void Pass(string point)
    {
        if (!_armed)
        {
            return;
        }

        // A link that fails before this process has broken any, on a very busy machine, is not the one that is meant.
        var meant = _reportsFirst || !DiesReportingALink;
        if (meant && point == settings.DieAt?.Point && Interlocked.Decrement(ref _untilDeath) == 0)
        {
            // Not an orderly end: nothing is flushed, no handler runs, the kernel closes the sockets.
            _ = Kill(Environment.ProcessId, Sigkill);
            _never.WaitOne();
        }

        if (point == settings.StopAt?.Point && Interlocked.Decrement(ref _untilStop) == 0)
        {
            _ = Kill(Environment.ProcessId, Sigstop);
        }

        if (point == settings.HoldAt)
        {
            _released.WaitOne();
        }

        if (point == settings.BreakLinksAt?.Point && Interlocked.Decrement(ref _untilBreak) == 0)
        {
            // Else the others' reports could bring a new epoch before this peer has said anything.
            _reportsFirst = DiesReportingALink;
            BreakLinks();
        }

        if (_reportsFirst && point == "receive:EpochOpened")
        {
            _never.WaitOne();
        }
    }

    /// <summary>Shuts down every connection of this process but the one to the master.</summary>
    private void BreakLinks()
    {
        for (var descriptor = 3; descriptor < DescriptorsMax; descriptor++)
        {
            if (RemotePort(descriptor) is { } port && port != masterPort)
            {
                _ = Shutdown(descriptor, ShutReadAndWrite);
            }
        }
    }

    private static int? RemotePort(int descriptor)
    {
        Span<byte> address = stackalloc byte[128];
        var length = address.Length;
        if (GetPeerName(descriptor, ref MemoryMarshal.GetReference(address), ref length) != 0)
        {
            return null;
        }

        var family = MemoryMarshal.Read<ushort>(address);
        return family is 2 or 10 ? IPAddress.NetworkToHostOrder(MemoryMarshal.Read<short>(address[2..])) & 0xFFFF : null;
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);

    [LibraryImport("libc", EntryPoint = "shutdown")]
    private static partial int Shutdown(int descriptor, int how);

    [LibraryImport("libc", EntryPoint = "getpeername")]
    private static partial int GetPeerName(int descriptor, ref byte address, ref int length);
}
