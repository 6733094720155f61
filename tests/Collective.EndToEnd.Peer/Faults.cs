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

    private readonly int[] _left = [.. settings.Harms.Select(h => h.Occurrence)];
    private readonly ManualResetEvent _never = new(false);
    private volatile bool _armed = !settings.WaitForGo;
    private volatile bool _reportsFirst;

    /// <summary>From now on points count.</summary>
    public void Arm() => _armed = true;

    private bool DiesReportingALink => settings.Harms.Any(h => h.Kind == HarmKind.Die && h.Point.EndsWith("LinkFailed", StringComparison.Ordinal));

    /// <summary>Called by the library, on any of its threads, at each point.</summary>
    public void Pass(string point)
    {
        if (!_armed)
        {
            return;
        }

        for (var i = 0; i < _left.Length; i++)
        {
            var harm = settings.Harms[i];

            // A link that fails before this process has broken any, on a very busy machine, is not the one that is meant.
            var meant = _reportsFirst || harm.Kind != HarmKind.Die || !DiesReportingALink;
            if (meant && point == harm.Point && Interlocked.Decrement(ref _left[i]) == 0)
            {
                Do(harm);
            }
        }

        if (_reportsFirst && point == "receive:EpochOpened")
        {
            _never.WaitOne();
        }
    }

    private void Do(Harm harm)
    {
        switch (harm.Kind)
        {
            case HarmKind.Die:
                // Not an orderly end: nothing is flushed, no handler runs, the kernel closes the sockets.
                _ = Kill(Environment.ProcessId, Sigkill);
                _never.WaitOne();
                break;
            case HarmKind.Freeze:
                Report.Line($"freezes {harm.Point}");
                _ = Kill(Environment.ProcessId, Sigstop);
                break;
            case HarmKind.BreakLinks:
                // Else the others' reports could bring a new epoch before this peer has said anything.
                _reportsFirst = DiesReportingALink;
                BreakLinks();
                break;
            case HarmKind.ResetLink:
                Report.Line($"resets {Reset(int.MaxValue)}");
                break;
            case HarmKind.ResetStripe:
                Report.Line($"resets {Reset(1)}");
                break;
        }
    }

    /// <summary>Resets connections to the next peer, which all lead to one port of its; gives how many.</summary>
    private int Reset(int max)
    {
        var stripes = Enumerable.Range(3, DescriptorsMax - 3).Select(d => (Descriptor: d, Port: RemotePort(d))).Where(c => c.Port is { } port && port != masterPort)
            .GroupBy(c => c.Port).Where(link => link.Count() > 1).SelectMany(link => link).Take(max).ToList();

        // To connect a socket to no family at all resets its connection.
        Span<byte> nobody = stackalloc byte[16];
        nobody.Clear();
        foreach (var (descriptor, _) in stripes)
        {
            _ = Connect(descriptor, ref MemoryMarshal.GetReference(nobody), nobody.Length);
        }

        return stripes.Count;
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

    [LibraryImport("libc", EntryPoint = "connect")]
    private static partial int Connect(int descriptor, ref byte address, int length);

    [LibraryImport("libc", EntryPoint = "getpeername")]
    private static partial int GetPeerName(int descriptor, ref byte address, ref int length);
}
