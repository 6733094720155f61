using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.SharedStates;

/// <summary>Tensors of bytes and their syncs.</summary>
internal abstract class SharedStateTest : EndToEndTest
{
    protected const int Bytes = 1024;

    protected static byte[] Filled(byte value, int bytes = Bytes)
    {
        var content = new byte[bytes];
        content.AsSpan().Fill(value);
        return content;
    }

    protected static byte[] Random(int seed, int bytes)
    {
        var content = new byte[bytes];
        new Random(seed).NextBytes(content);
        return content;
    }

    /// <summary>A state of one tensor per key.</summary>
    protected static SharedState State(ulong? revision, params (string Key, byte[] Content)[] tensors)
    {
        var state = new SharedState { Revision = revision };
        foreach (var (key, content) in tensors)
        {
            state.Add<byte>(key, content);
        }

        return state;
    }

    /// <summary>All sync at once, each its own state.</summary>
    protected static Task<SharedStateSyncResult[]> Sync(IReadOnlyList<Communicator> peers, IReadOnlyList<SharedState> states, SyncStrategy strategy = SyncStrategy.EnforcePopular)
        => All(peers.Select((peer, i) => (peer, states[i])), p => p.peer.SynchronizeSharedStateAsync(p.Item2, strategy));

    /// <summary>All sync at once, each with its own strategy; the failures of those who fail.</summary>
    protected static Task<CollectiveException?[]> Failures(IReadOnlyList<Communicator> peers, IReadOnlyList<SharedState> states, params SyncStrategy[] strategies)
        => All(peers.Select((peer, i) => (peer, states[i], strategies[i % strategies.Length])), async p =>
        {
            try
            {
                await p.peer.SynchronizeSharedStateAsync(p.Item2, p.Item3);
                return null;
            }
            catch (CollectiveException e)
            {
                return e;
            }
        });

    protected static void AssertNothingMoved(params SharedStateSyncResult[] results)
        => Assert.That(results, Is.All.Matches<SharedStateSyncResult>(r => r is { BytesSent: 0, BytesReceived: 0, WireBytesSent: 0, WireBytesReceived: 0, KeysReceived.Count: 0, Donors.Count: 0 }));

    /// <summary>Two groups of the given size, connected to one master.</summary>
    protected async Task<(Communicator[] First, Communicator[] Second)> ConnectGroups(int worldSize)
    {
        var master = StartMaster();
        var all = new List<Communicator>();
        for (var i = 0; i < 2 * worldSize; i++)
        {
            all.Add(await Admit(all, NewCommunicator(master, group: (uint)(i / worldSize))));
        }

        return ([.. all.Take(worldSize)], [.. all.Skip(worldSize)]);
    }

    /// <summary>Connects a newcomer, whom the others admit.</summary>
    protected static async Task<Communicator> Admit(IReadOnlyList<Communicator> members, Communicator newcomer)
    {
        await Admit(members, members.Count + 1, newcomer.ConnectAsync());
        return newcomer;
    }
}
