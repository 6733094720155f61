using System.Text;

namespace Collective.Protocol;

/// <summary>The two messages that list tensors. Like all decoding: total, and every length is checked before anything is allocated.</summary>
internal static class SharedStateCodec
{
    private const int EntryBytesMin = 2 + 1 + 8 + 1 + 16;
    private const int FetchBytes = 2 + 16 + 2;
    private const int LeftOutBytesMin = 16 + 2 + 2;

    public static int BytesMax(SharedStateVote vote)
        => 64 + vote.Entries.Sum(e => EntryBytesMin + Math.Min(Limits.StateKeyBytesMax, Encoding.UTF8.GetMaxByteCount(e.Key.Length)));

    public static int BytesMax(SharedStatePlan plan)
        => 64 + (plan.Holders.Count * Limits.MemberBytesMax) + plan.HolderSets.Sum(s => 2 + (2 * s.Count)) + (plan.Fetches.Count * FetchBytes);

    public static int BytesMax(SharedStateFinished end) => 1024 + (end.LeftOut.Count * (LeftOutBytesMin + Limits.ReasonBytesMax));

    public static SharedStateVote ReadVote(ref WireReader reader)
    {
        var request = new RequestNumber(reader.UInt64());
        var revision = new Revision(reader.UInt64());
        if (revision == Revision.Limit)
        {
            reader.Fail();
        }

        var rule = (RevisionRule)reader.Enumeration((byte)RevisionRule.ByOne);
        var strategy = (SyncStrategy)reader.Enumeration((byte)SyncStrategy.SendOnly);
        var entries = new StateEntry[reader.Count(Limits.StateKeysMax, EntryBytesMin)];
        for (var i = 0; i < entries.Length; i++)
        {
            entries[i] = new StateEntry(reader.Text(), (DataType)reader.Enumeration((byte)DataType.Float64), reader.UInt64(), reader.Bool(), reader.StateHash());
            if (entries[i].MayDiffer && entries[i].Hash != default)
            {
                reader.Fail();
            }
        }

        return new SharedStateVote(request, revision, rule, strategy, entries);
    }

    public static void WriteVote(ref WireWriter writer, SharedStateVote vote)
    {
        writer.UInt64(vote.Request.Value);
        writer.UInt64(vote.Revision.Value);
        writer.Byte((byte)vote.Rule);
        writer.Byte((byte)vote.Strategy);
        writer.UInt16((ushort)vote.Entries.Count);
        foreach (var entry in vote.Entries)
        {
            writer.Text(entry.Key);
            writer.Byte((byte)entry.DataType);
            writer.UInt64(entry.Count);
            writer.Bool(entry.MayDiffer);
            writer.StateHash(entry.Hash);
        }
    }

    public static SharedStatePlan ReadPlan(ref WireReader reader)
    {
        var request = new RequestNumber(reader.UInt64());
        var revision = new Revision(reader.UInt64());
        var holders = new Member[reader.Count(Limits.PeersMax, Limits.MemberBytesMin)];
        for (var i = 0; i < holders.Length; i++)
        {
            holders[i] = reader.Member();
        }

        var sets = ReadHolderSets(ref reader, holders.Length);
        var fetches = new StateFetch[reader.Count(Limits.StateKeysMax, FetchBytes)];
        for (var i = 0; i < fetches.Length; i++)
        {
            fetches[i] = new StateFetch(reader.Index(Limits.StateKeysMax), reader.StateHash(), reader.Index(sets.Length));
        }

        return new SharedStatePlan(request, revision, holders, sets, fetches);
    }

    public static void WritePlan(ref WireWriter writer, SharedStatePlan plan)
    {
        writer.UInt64(plan.Request.Value);
        writer.UInt64(plan.Revision.Value);
        writer.UInt16((ushort)plan.Holders.Count);
        foreach (var holder in plan.Holders)
        {
            writer.Member(holder);
        }

        writer.UInt16((ushort)plan.HolderSets.Count);
        foreach (var set in plan.HolderSets)
        {
            writer.UInt16((ushort)set.Count);
            foreach (var holder in set)
            {
                writer.UInt16(holder);
            }
        }

        writer.UInt16((ushort)plan.Fetches.Count);
        foreach (var fetch in plan.Fetches)
        {
            writer.UInt16(fetch.Index);
            writer.StateHash(fetch.Hash);
            writer.UInt16(fetch.HolderSet);
        }
    }

    public static SharedStateFinished ReadFinished(ref WireReader reader)
    {
        var request = new RequestNumber(reader.UInt64());
        var error = MessageCodec.ReadErrorCode(ref reader);
        var reason = reader.Text();
        var revision = new Revision(reader.UInt64());
        var leftOut = new LeftOutPeer[reader.Count(Limits.ExclusionsMax, LeftOutBytesMin)];
        for (var i = 0; i < leftOut.Length; i++)
        {
            leftOut[i] = new LeftOutPeer(reader.Peer(), MessageCodec.ReadErrorCode(ref reader), reader.Text());
        }

        return new SharedStateFinished(request, error, reason, revision, leftOut);
    }

    public static void WriteFinished(ref WireWriter writer, SharedStateFinished end)
    {
        writer.UInt64(end.Request.Value);
        writer.UInt16((ushort)end.Error);
        writer.Text(end.Reason);
        writer.UInt64(end.Revision.Value);
        writer.UInt16((ushort)end.LeftOut.Count);
        foreach (var peer in end.LeftOut)
        {
            writer.Peer(peer.Id);
            writer.UInt16((ushort)peer.Code);
            writer.Text(peer.Reason);
        }
    }

    private static ushort[][] ReadHolderSets(ref WireReader reader, int holders)
    {
        var sets = new ushort[reader.Count(Limits.StateKeysMax, 2)][];
        var indexes = 0;
        for (var i = 0; i < sets.Length; i++)
        {
            sets[i] = new ushort[reader.Count(holders, 2)];
            indexes += sets[i].Length;
            for (var j = 0; j < sets[i].Length; j++)
            {
                sets[i][j] = reader.Index(holders);
            }
        }

        if (indexes > Limits.HolderIndexesMax)
        {
            reader.Fail();
        }

        return sets;
    }
}
