using System.Net;
using System.Runtime.InteropServices;

namespace Collective.Stress.Processes;

/// <summary>The TCP connections of this process to other peers, found among its file descriptors: all but those to the master.</summary>
internal static partial class DataSockets
{
    private const int ShutReadAndWrite = 2;
    private const int DescriptorsMax = 1024;

    private readonly record struct Connection(int Descriptor, IPEndPoint Remote);

    /// <summary>Shuts all of them down, and gives their number.</summary>
    public static int BreakAll(IPEndPoint master)
    {
        var all = Find(master);
        all.ForEach(connection => Break(connection));
        return all.Count;
    }

    /// <summary>Shuts down the connection that comes first after a random place, and gives the number: 1, or 0 when there is none.</summary>
    public static int BreakOne(IPEndPoint master, int random)
    {
        var all = Find(master);
        if (all.Count > 0)
        {
            Break(all[random % all.Count]);
        }

        return Math.Min(all.Count, 1);
    }

    /// <summary>Shuts down all connections that this process has made to one other, and gives their number.</summary>
    public static int BreakLink(IPEndPoint master)
    {
        // Those that were accepted have as many remote ports as there are.
        var link = Find(master).GroupBy(connection => connection.Remote).MaxBy(connections => connections.Count())?.ToList() ?? [];
        link.ForEach(connection => Break(connection));
        return link.Count;
    }

    private static List<Connection> Find(IPEndPoint master)
    {
        var found = new List<Connection>();
        for (var descriptor = 3; descriptor < DescriptorsMax; descriptor++)
        {
            if (RemoteOf(descriptor) is { } remote && !remote.Equals(master))
            {
                found.Add(new Connection(descriptor, remote));
            }
        }

        return found;
    }

    private static void Break(Connection connection) => _ = Shutdown(connection.Descriptor, ShutReadAndWrite);

    private static IPEndPoint? RemoteOf(int descriptor)
    {
        Span<byte> address = stackalloc byte[128];
        var length = address.Length;
        if (GetPeerName(descriptor, ref MemoryMarshal.GetReference(address), ref length) != 0)
        {
            return null;
        }

        var port = (ushort)IPAddress.NetworkToHostOrder(MemoryMarshal.Read<short>(address[2..]));
        return MemoryMarshal.Read<ushort>(address) switch
        {
            2 => new IPEndPoint(new IPAddress(address[4..8]), port),
            10 => new IPEndPoint(new IPAddress(address[8..24]), port),
            _ => null,
        };
    }

    [LibraryImport("libc", EntryPoint = "shutdown")]
    private static partial int Shutdown(int descriptor, int how);

    [LibraryImport("libc", EntryPoint = "getpeername")]
    private static partial int GetPeerName(int descriptor, ref byte address, ref int length);
}
