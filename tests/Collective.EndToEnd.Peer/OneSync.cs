namespace Collective.EndToEnd.Peer;

/// <summary>One sync of a shared state, given or taken; whatever its end, the tensor must hold what that means.</summary>
internal sealed class OneSync(Communicator communicator, Settings settings)
{
    private const int GivenSeed = 1;
    private const int OwnSeed = 2;
    private const ulong GivenRevision = 7;

    public async Task Run()
    {
        var tensor = Content(settings.Takes ? OwnSeed : GivenSeed);
        var state = new SharedState { Revision = settings.Takes ? 0 : GivenRevision };
        state.Add<byte>(settings.SyncKey, tensor);
        try
        {
            var result = await communicator.SynchronizeSharedStateAsync(state, settings.Takes ? SyncStrategy.ReceiveOnly : SyncStrategy.SendOnly);
            Require(tensor.AsSpan().SequenceEqual(Content(GivenSeed)) && state.Revision == GivenRevision, "the sync succeeded, but the tensor does not hold the elected content");
            Report.Line($"synced received {result.BytesReceived} from {string.Join(",", result.Donors.Select(p => p.ToShortString()))} wire {result.WireBytesReceived}");
        }
        catch (CollectiveException)
        {
            Require(tensor.AsSpan().SequenceEqual(Content(settings.Takes ? OwnSeed : GivenSeed)) && state.Revision == (settings.Takes ? 0 : GivenRevision), "the sync failed, but the tensor or the revision has changed");
            throw;
        }
    }

    private byte[] Content(int seed)
    {
        var content = new byte[settings.SyncBytes];
        new Random(seed).NextBytes(content);
        for (var at = 0; settings.Compressible && at < content.Length; at += 64)
        {
            content.AsSpan(at + 16, Math.Min(48, content.Length - at - 16)).Clear();
        }

        return content;
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new BrokenPromiseException(message);
        }
    }
}
