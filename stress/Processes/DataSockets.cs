using System.Net;
using System.Runtime.InteropServices;

namespace Collective.Stress.Processes;

/// <summary>The TCP connections of this process to other peers, found among its file descriptors: all but those to the master. Here they are broken.</summary>
internal static partial class DataSockets
{
    private const int ShutReadAndWrite = 2;
    private const int DescriptorsMax = 1024;

    private readonly record struct Connection(int Descriptor, IPEndPoint Remote);

    /// <summary>Shuts all of them down: both ends see an end.</summary>
    public static void ShutDownAll(IPEndPoint master)
    {
        foreach (var connection in Find(master))
        {
            _ = Shutdown(connection.Descriptor, ShutReadAndWrite);
        }
    }

    /// <summary>Resets connections to the next peer, which all lead to one port of it, and gives how many.</summary>
    public static int ResetLink(IPEndPoint master, int max = int.MaxValue)
        => Reset(Find(master).GroupBy(connection => connection.Remote).Where(link => link.Count() > 1).SelectMany(link => link).Take(max));

    /// <summary>Resets one connection, from the previous peer or to the next one, and gives 1; 0 when there is none.</summary>
    public static int ResetOne(IPEndPoint master, int random)
    {
        var all = Find(master);
        return all.Count == 0 ? 0 : Reset([all[random % all.Count]]);
    }

    private static int Reset(IEnumerable<Connection> connections)
    {
        // To connect a socket to no family at all resets its connection.
        Span<byte> nobody = stackalloc byte[16];
        nobody.Clear();
        var count = 0;
        foreach (var connection in connections.ToList())
        {
            _ = Connect(connection.Descriptor, ref MemoryMarshal.GetReference(nobody), nobody.Length);
            count++;
        }

        return count;
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

    [LibraryImport("libc", EntryPoint = "connect")]
    private static partial int Connect(int descriptor, ref byte address, int length);

    [LibraryImport("libc", EntryPoint = "getpeername")]
    private static partial int GetPeerName(int descriptor, ref byte address, ref int length);
}
